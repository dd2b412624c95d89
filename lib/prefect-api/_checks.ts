import { checkFirst, checkHttpUrl, checkImage, checkText } from '../kubernetes/_checks';
import { refuse, type Where } from '../kubernetes/_refuse';

/** Checks the id of a tenant or agent config. Prefect would read a UUID without hyphens as a number if it has only digits. */
export function checkUuid(where: Where, prop: string, value: string): void {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value)) {
    refuse(where, {
      prop,
      value,
      allowed: 'must be a UUID, like 11111111-2222-3333-4444-555555555555',
      remedy: 'copy the id from Prefect',
    });
  }
}

/** Checks the labels by which Prefect routes flow runs to agents. */
export function checkAgentLabels(where: Where, labels: string[]): void {
  for (const [i, label] of labels.entries()) {
    checkText(where, `labels[${i}]`, label);
    checkFirst(where, 'labels', labels, i);
  }
}

/** Checks the URL of a Prefect API. It is in clear in every Job. */
export function checkApiUrl(where: Where, prop: string, url: string): void {
  if (/^\s*([a-z]+:\/\/)?([^/?#]*@)?([-\w]+\.)*prefect\.cloud\.?(:\d+)?([/?#]|\s*$)/i.test(url)) {
    refuse(where, {
      prop,
      allowed: 'must not be on prefect.cloud, which is Prefect Cloud for Prefect 2 and 3: agents and flows of Prefect 1 cannot use it',
      remedy: "write the URL of a Prefect Server, for example PrefectApi.server({ url: 'http://prefect-apollo.prefect:4200' })",
    });
  }
  checkHttpUrl(where, prop, url, {
    url: 'write for example http://prefect-apollo.prefect:4200',
    credentials: 'give apiKey: SecretKeyRef.of(...)',
  });
}

const PREFECT_TAG = /^(?:docker\.io\/)?prefecthq\/prefect:([^@]+)/;

/** The default image of agent and sweeper. */
export const PREFECT_IMAGE = 'prefecthq/prefect:1.4.1-python3.9';

/** Images of Prefect 2 and 3, also in other registries. */
const PREFECT_3 = /(?:^|\/)prefecthq\/prefect(?:-\w+)?:v?[23](?:[-.]|$|@)/i;

/** Checks that an image has a fixed version and, if it is one of Prefect's, the kubernetes extra. */
export function checkPrefectImage(where: Where, prop: string, image: string): string {
  if (PREFECT_3.test(image)) {
    refuse(where, {
      prop,
      value: image,
      allowed: 'must be an image of Prefect 1: agents and flows of Prefect 1 do not run on Prefect 2 or 3',
      remedy: `write for example ${PREFECT_IMAGE}`,
    });
  }
  const tag = PREFECT_TAG.exec(checkImage(where, prop, image))?.[1];
  if (tag !== undefined && !/^1\.\d+\.\d+(-python3\.\d+)?$/.test(tag)) {
    refuse(where, {
      prop,
      value: image,
      allowed: 'must be a release of Prefect 1 with its orchestration extras, which "core" images lack',
      remedy: `write for example ${PREFECT_IMAGE}`,
    });
  }
  return image;
}

/** Keys that Prefect's configuration rejects, because they are methods of its class: `dir(prefect.configuration.Config)`. */
const REFUSED_CONFIG_KEYS = new Set(
  (
    'clear copy del_comment from_json from_msgpack from_toml from_toon from_yaml fromkeys get get_comment items keys merge_update ' +
    'pop popitem set_comment setdefault to_dict to_json to_msgpack to_toml to_toon to_yaml update values'
  ).split(' '),
);

/** Throws for variables that have a prop, and for those with which Prefect does not start. Prefect ignores the case of its variables. */
export function checkPrefectEnv(where: Where, names: string[], ownedEnv: Record<string, string>): void {
  for (const name of names) {
    const owned = name.startsWith('PREFECT__') ? name.toUpperCase() : name;
    const remedy = ownedEnv[owned];
    if (Object.hasOwn(ownedEnv, owned) && remedy !== undefined)
      refuse(where, { prop: `env.${name}`, allowed: 'must not be set in env', remedy });
    const key = name.startsWith('PREFECT__')
      ? name
          .toLowerCase()
          .split('__')
          .slice(1)
          .find((part) => REFUSED_CONFIG_KEYS.has(part))
      : undefined;
    if (key !== undefined) {
      refuse(where, {
        prop: `env.${name}`,
        allowed: `must not have the part "${key}": Prefect refuses configuration keys that are methods of its Config class, and would not start`,
        remedy: 'write for example TEAM_NAME, and read that in the flow',
      });
    }
  }
}

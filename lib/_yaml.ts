import { Yaml } from 'cdk8s';

/** YAML for Python. PyYAML does not take these two for text where cdk8s writes them plainly; JSON, which is YAML too, has quotes. */
export function stringifyYaml(value: object): string {
  const json = JSON.stringify(value, null, 2);
  return /"(=|<<)"/.test(json) ? `${json}\n` : Yaml.stringify(value);
}

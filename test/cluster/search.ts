import type { ApiServer, Json } from './harness/api-server';

/**
 * Where in a cluster a text is: `resource namespace/name` of each object, among all objects of every kind that can be listed, in every
 * version that is served, events included. Found are the text in clear and its base64, also in the middle of a longer text's base64.
 */
export async function placesOf(api: ApiServer, text: string): Promise<string[]> {
  const needles = [text, ...base64Of(text)];
  const places = new Set<string>();
  for (const [resource, path] of await listable(api)) {
    const { body } = await api.expect('GET', path);
    for (const item of body.items as Json[]) {
      const object = JSON.stringify(item);
      if (needles.some((needle) => object.includes(needle)))
        places.add([resource, [item.metadata.namespace, item.metadata.name].filter(Boolean).join('/')].join(' '));
    }
  }
  return [...places].sort();
}

/** Every resource that can be listed, with where. */
export async function listable(api: ApiServer): Promise<Array<readonly [resource: string, path: string]>> {
  const groups: Json[] = (await api.expect('GET', '/apis')).body.groups;
  const versions = groups.flatMap(({ versions: served }) => served.map(({ groupVersion }: Json) => `/apis/${groupVersion}`));
  const found = ['/api/v1', ...versions].map(async (version) => {
    const resources: Json[] = (await api.expect('GET', version)).body.resources;
    return resources.filter(({ verbs }) => verbs.includes('list')).map(({ name }) => [name, `${version}/${name}`] as const);
  });
  return (await Promise.all(found)).flat();
}

/** What of a text's base64 is the same whatever surrounds it, for each of the three ways in which it can be aligned. */
export function base64Of(text: string): string[] {
  return [0, 1, 2].map((offset) => {
    const bytes = Buffer.concat([Buffer.alloc(offset), Buffer.from(text)]);
    return bytes.toString('base64').slice(Math.ceil((offset * 8) / 6), Math.floor((bytes.length * 8) / 6));
  });
}

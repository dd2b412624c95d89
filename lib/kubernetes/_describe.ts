import { differences } from './_apply';
import { isPrintable } from './_clear-text';
import { type Fields, listOf } from './_stored';

/** The first few items, and the number of the others. */
export function someOf(items: readonly string[], most = 6): string {
  const unique = [...new Set(items)];
  return unique.length <= most ? unique.join(', ') : `${unique.slice(0, most).join(', ')} and ${unique.length - most} more`;
}

/** The differences between two pod templates, in a few words. */
export function describe(was: Fields, is: Fields): string {
  const images = listOf(is.spec?.containers).flatMap(({ name, image }): [string, string][] => {
    const old = listOf(was.spec?.containers).find((container) => container.name === name)?.image;
    return old !== image && isPrintable(old) && isPrintable(image) ? [[`spec.containers[${name}].image`, `image ${old} -> ${image}`]] : [];
  });
  const spelled = new Map(images);
  const others = differences(was, is).filter((path) => path !== 'spec.serviceAccount' && !spelled.has(path));
  const groups = new Map<string, string[]>();
  for (const path of others.map((one) => one.replace(/^spec\./, ''))) {
    const group = path.replace(/\b(labels|annotations|env|volumes|volumeMounts)\b.*/s, '$1');
    groups.set(group, [...(groups.get(group) ?? []), path]);
  }
  const paths = [...groups].map(([group, all]) => (all.length > 2 ? `${group} (${all.length})` : all.join(', ')));
  return [...spelled.values(), ...(paths.length > 0 ? [someOf(paths, 12)] : [])].join('; ');
}

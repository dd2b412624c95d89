import type { k8s } from 'cdk8s-plus-27';
import { refuse, type Where } from './_refuse';
import type { SecretKeyRef } from './key-ref';

// PEP 508 and PEP 440, of which an unquoted word of a shell can hold: names, extras and versions.
const NAME = '[A-Za-z0-9](?:[-._A-Za-z0-9]*[A-Za-z0-9])?';
const PRE = '(?:[-_.]?(?:alpha|beta|preview|pre|a|b|c|rc)(?:[-_.]?\\d+)?)?';
const POST = '(?:-\\d+|[-_.]?(?:post|rev|r)(?:[-_.]?\\d+)?)?';
const DEV = '(?:[-_.]?dev(?:[-_.]?\\d+)?)?';
const LOCAL = '(?:\\+[a-z0-9]+(?:[-_.][a-z0-9]+)*)?';
const RELEASE = '(?:\\d+!)?\\d+(?:\\.\\d+)*';
const EXACT = `(?:==|!=)v?${RELEASE}(?:\\.\\*|${PRE}${POST}${DEV}${LOCAL})`;
const ORDERED = `(?:<=|>=|<|>)v?${RELEASE}${PRE}${POST}${DEV}`;
const COMPATIBLE = `~=v?(?:\\d+!)?\\d+(?:\\.\\d+)+${PRE}${POST}${DEV}`;
const SPECIFIER = `(?:${EXACT}|${ORDERED}|${COMPATIBLE})`;
const REQUIREMENT = new RegExp(`^${NAME}(?:\\[${NAME}(?:,${NAME})*\\])?(?:${SPECIFIER}(?:,${SPECIFIER})*)?$`, 'i');

/**
 * What the image's entrypoint makes of the packages: `pip install $EXTRA_PIP_PACKAGES`, unquoted, after an echo. It splits at white
 * space and leaves quotes as they are, so markers, URLs with options and quoted requirements reach pip in pieces.
 */
export function renderPipEnv(where: Where, packages: string[], indexUrl: SecretKeyRef | undefined): k8s.EnvVar[] {
  for (const [i, requirement] of packages.entries()) {
    if (!REQUIREMENT.test(requirement)) {
      refuse(where, {
        prop: `extraPipPackages[${i}]`,
        value: requirement,
        allowed:
          'must be a name with extras and versions, without white space, quotes, markers and URLs: the entrypoint of the image hands it to pip through an unquoted shell variable, and has no git',
        remedy: 'write for example pandas>=1.5,<2, or build an image',
      });
    }
  }
  return [
    ...(packages.length > 0 ? [{ name: 'EXTRA_PIP_PACKAGES', value: packages.join(' ') }] : []),
    ...(indexUrl ? [{ name: 'PIP_INDEX_URL', valueFrom: { secretKeyRef: { name: indexUrl.name, key: indexUrl.key } } }] : []),
  ];
}

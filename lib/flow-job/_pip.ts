import type { k8s } from 'cdk8s-plus-27';
import type { Plain } from '../kubernetes/_manifest';
import { refuse, type Where } from '../kubernetes/_refuse';
import type { SecretKeyRef } from '../kubernetes/key-ref';

// The part of PEP 508 and PEP 440 that fits into one unquoted word of a shell: names, extras and versions.
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
 * Checks requirements for the entrypoint of the image, which runs `pip install $EXTRA_PIP_PACKAGES` without quotes. The shell splits
 * that at white space and keeps quotes, so markers, URLs with options and quoted requirements would reach pip in pieces.
 */
export function renderPipEnv(where: Where, packages: string[], indexUrl: SecretKeyRef | undefined): Plain<k8s.EnvVar>[] {
  for (const [i, requirement] of packages.entries()) {
    if (!REQUIREMENT.test(requirement)) {
      refuse(where, {
        prop: `extraPipPackages[${i}]`,
        // The error does not show it, because a URL may contain a token.
        allowed:
          'must be a name with extras and versions, without white space, quotes, markers and URLs: the entrypoint of the image passes it to pip in an unquoted shell variable, and the image has no git',
        remedy: 'write for example pandas>=1.5,<2, or build an image',
      });
    }
  }
  for (const [i, requirement] of packages.entries()) {
    if (/^prefect(\[.*\])?(==|>=|~=)v?[23]\b/i.test(requirement)) {
      refuse(where, {
        prop: `extraPipPackages[${i}]`,
        value: requirement,
        allowed: 'must not replace Prefect 1, which runs the flow, by Prefect 2 or 3',
        remedy: 'write for example prefect==1.4.1',
      });
    }
  }
  return [
    ...(packages.length > 0 ? [{ name: 'EXTRA_PIP_PACKAGES', value: packages.join(' ') }] : []),
    ...(indexUrl ? [{ name: 'PIP_INDEX_URL', valueFrom: { secretKeyRef: { name: indexUrl.name, key: indexUrl.key } } }] : []),
  ];
}

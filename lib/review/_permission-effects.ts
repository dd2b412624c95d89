import { accountOf } from '../flow-job/_pods-of';
import { dangerOf, Permissions, spellRights, uncovered } from '../kubernetes/_permissions';
import type { Finding } from './_finding';
import { podsOfBoth, type Side } from './_side';
import { UpgradeClass } from './upgrade-finding';

/** Subjects with more or fewer permissions than before. */
export function permissionEffects(old: Side, next: Side): Finding[] {
  const [before, after] = [old, next].map(({ objects }) => new Permissions([...objects.values()])) as [Permissions, Permissions];
  // A Role or binding that is no longer among the manifests still grants permissions until it is deleted.
  const kept = new Permissions([...new Map([...old.objects, ...next.objects]).values()]);
  const earlier = earlierAccounts(old, next);
  const findings: Finding[] = [];
  for (const subject of new Set([...before.subjects, ...kept.subjects])) {
    const add = (upgradeClass: UpgradeClass, reason: string) => findings.push({ upgradeClass, object: subject, reason });
    for (const scope of new Set([...before.scopesOf(subject), ...kept.scopesOf(subject)])) {
      const [had, has] = [before.rulesOf(subject, scope), kept.rulesOf(subject, scope)];
      const where = scope === '' ? 'in every namespace' : `in ${scope}`;
      const gained = uncovered(before.effective(subject, scope), has);
      const lost = uncovered(after.effective(subject, scope), had);
      if (gained.length > 0) {
        const from = earlier.get(subject)?.find((account) => uncovered(before.effective(account, scope), has).length === 0);
        const danger = dangerOf(gained);
        if (from !== undefined) add(UpgradeClass.PERMISSIONS_MOVED, `may now, as ${from} before, ${where}: ${spellRights(gained)}`);
        else add(UpgradeClass.PERMISSIONS_WIDENED, `may also, ${where}: ${spellRights(gained)}${danger === '' ? '' : ` (${danger})`}`);
      }
      if (lost.length > 0) {
        const isKept = uncovered(kept.effective(subject, scope), had).length < lost.length;
        const when = isKept ? ', after the objects that are left behind are deleted' : '';
        add(UpgradeClass.PERMISSIONS_NARROWED, `may no longer, ${where}: ${spellRights(lost)}${when}`);
        if (old.flowAccounts.has(subject)) add(UpgradeClass.RUNNING_FLOWS, `flow runs may use it and lose permissions at once${when}`);
      }
    }
  }
  return findings;
}

/** The previous service accounts of the same pods, by the current one. */
function earlierAccounts(old: Side, next: Side): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const [was, is] of podsOfBoth(old, next)) {
    const [earlier, now] = [was, is].map(({ spec, namespace }) => `ServiceAccount ${namespace}/${accountOf(spec)}`) as [string, string];
    if (earlier !== now) found.set(now, [...(found.get(now) ?? []), earlier]);
  }
  return found;
}

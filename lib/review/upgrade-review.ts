import { checkArguments } from '../kubernetes/_guard';
import type { Fields } from '../kubernetes/_stored';
import type { Manifests } from '../kubernetes/manifests';
import type { Effects } from './_effects';
import type { Finding } from './_finding';
import { renderJson, renderMarkdown, renderText } from './_report';
import { UpgradeClass, UpgradeFinding } from './upgrade-finding';

/**
 * The effects of applying new manifests over old ones: an outage because of a missing Secret, a refused update, a restart, a second
 * agent, wider permissions. `npx cdk8s-prefect review OLD NEW` prints them.
 *
 * It compares manifests, so it does not see changes that somebody made by hand in the cluster. A change that it does not understand is
 * `UpgradeClass.CANNOT_TELL`, never harmless.
 *
 * @example
 * const before = Manifests.of(chart);
 * const review = UpgradeReview.of(before, before);
 * review.worst(); // UpgradeClass.HARMLESS
 * review.findings(UpgradeClass.PERMISSIONS_WIDENED); // []
 */
export class UpgradeReview {
  /**
   * Compares two sets of manifests.
   *
   * @param old the manifests that you applied last
   * @param current the manifests that you are going to apply
   */
  public static of(old: Manifests, current: Manifests): UpgradeReview {
    checkArguments('UpgradeReview.of', { old, current });
    // Loaded only here, because its modules take time to load.
    const { effectsOf } = require('./_effects') as typeof import('./_effects');
    return new UpgradeReview(effectsOf(old.all as Fields[], current.all as Fields[]));
  }

  private readonly effects: Effects;

  private constructor(effects: Effects) {
    const classes = Object.values(UpgradeClass);
    const rank = ({ upgradeClass }: Finding) => classes.indexOf(upgradeClass);
    const findings = [...effects.findings].sort((a, b) => rank(a) - rank(b) || (a.object < b.object ? -1 : a.object > b.object ? 1 : 0));
    this.effects = { ...effects, findings };
  }

  /**
   * All findings, or those of one class. The most dangerous one is first.
   *
   * @param upgradeClass the class, by default every class
   */
  public findings(upgradeClass?: UpgradeClass): UpgradeFinding[] {
    checkArguments('UpgradeReview.findings', { upgradeClass });
    const all = this.effects.findings.filter((finding) => upgradeClass === undefined || finding.upgradeClass === upgradeClass);
    return all.map((finding) => UpgradeFinding._of(finding));
  }

  /** The most dangerous class among the findings, or `HARMLESS` if there are none. */
  public worst(): UpgradeClass {
    return this.effects.findings[0]?.upgradeClass ?? UpgradeClass.HARMLESS;
  }

  /** The review as text for a terminal. */
  public toText(): string {
    return renderText(this.effects);
  }

  /** The review as Markdown for a pull request. At most 60,000 characters, because GitHub refuses comments of more than 65,536. */
  public toMarkdown(): string {
    return renderMarkdown(this.effects);
  }

  /** The review for programs: `version`, `summary` and `findings`. */
  public toJson(): { [key: string]: unknown } {
    return renderJson(this.effects);
  }
}

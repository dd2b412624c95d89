// Reviews texts of two megabytes, each a part that patterns could trip over, repeated: tsx test/review/long-texts.ts PART...
// Prints each part before its review. A review that reads its texts once is over in seconds, one that reads them from each place in hours.
import { Manifests, StockPrefectAgent, UpgradeReview } from '../../lib';
import { chartWith, type Manifest } from '../support';

const SIZE = 2_000_000;
const of = (all: Manifest[]): Manifests => Object.assign(Object.create(Manifests.prototype), { all });
const configMap = (text: string) =>
  of([{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'team', namespace: 'prefect' }, data: { a: text } }]);

/** A stock agent whose labels are a text. */
function labelled(labels: string): Manifests {
  const all = structuredClone(
    Manifests.of(chartWith((chart) => new StockPrefectAgent(chart, 'Agent', { labels: ['kube'] }))).all,
  ) as Manifest[];
  for (const { spec } of all.filter(({ kind }) => kind === 'Deployment')) {
    for (const entry of spec.template.spec.containers[0].env) if (entry.name.endsWith('LABELS')) entry.value = labels;
  }
  return of(all);
}

for (const part of process.argv.slice(2)) {
  console.log(JSON.stringify(part));
  const text = part.repeat(SIZE / part.length);
  UpgradeReview.of(configMap('x'), configMap(text));
  UpgradeReview.of(labelled(`['a'${text}`), labelled(`['a'${text}${part}`));
}
console.log('done');

// The reviews in the documentation are what the review says now. CDK8S_PREFECT_WRITE_DOCS=1 writes them anew.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Chart } from 'cdk8s';
import { Manifests, PrefectAgent, PrefectApi, SecretKeyRef, StockPrefectAgent, UpgradeReview } from '../../lib';
import { chartWith } from '../support';

const file = join(__dirname, '../../docs/how-to/review-upgrades.md');
const api = PrefectApi.cloud({ apiKey: SecretKeyRef.of('prefect-api-key', 'key'), url: 'https://prefect.example.com' });
const manifestsOf = (build: (chart: Chart) => void) => Manifests.of(chartWith(build, 'default'));

const stock = manifestsOf((chart) => {
  new StockPrefectAgent(chart, 'Agent', { key: 'in-clear', api: 'https://prefect.example.com', labels: ['kube'], rbac: true });
});
const hardened = (image?: string) => manifestsOf((chart) => new PrefectAgent(chart, 'Agent', { api, labels: ['kube'], image }));

test.each([
  ['stock to hardened', UpgradeReview.of(stock, hardened())],
  ['image', UpgradeReview.of(hardened(), hardened('prefecthq/prefect:1.4.1-python3.10'))],
])('the review "%s"', (name, review) => {
  const inGit = readFileSync(file, 'utf8');
  const now = inGit.replace(
    new RegExp(`(<!-- review: ${name} -->\n\`\`\`text\n)[\\s\\S]*?(\`\`\`)`),
    (_, before, after) => `${before}${review.toText()}${after}`,
  );
  if (process.env.CDK8S_PREFECT_WRITE_DOCS) writeFileSync(file, now);
  expect(now).toContain(review.toText());
  expect(readFileSync(file, 'utf8')).toBe(now);
});

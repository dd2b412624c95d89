// Which entries of noProxy Python's requests understands: the warning "no-proxy" is for all others, and for no others.
import { execFileSync } from 'node:child_process';
import { PrefectAgent, PrefectApi } from '../../lib';
import { factsOf, warningsOf } from '../../lib/kubernetes/_warnings';
import { newChart } from '../support';

const PROGRAM = `
import json, sys
from requests.utils import should_bypass_proxies
print(json.dumps([should_bypass_proxies(url, no_proxy=entry) for entry, url in json.load(sys.stdin)]))
`;

/** Entries, each with a URL for which its author wants no proxy. */
const ENTRIES: [string, string][] = [
  ['prefect.example', 'http://prefect.example'],
  ['prefect.example', 'https://a.prefect.example:8443/x'],
  ['.example.com', 'http://a.example.com'],
  ['.svc.cluster.local', 'http://prefect-apollo.prefect-server.svc.cluster.local:4200'],
  ['prefect.example:4200', 'http://prefect.example:4200'],
  ['localhost', 'http://localhost:4200'],
  ['10.0.0.7', 'http://10.0.0.7:4200'],
  ['10.0.0.0/8', 'http://10.1.2.3'],
  ['10.1.2.3/32', 'http://10.1.2.3'],
  ['172.16.0.0/12', 'https://172.31.255.255'],
  ['*.example.com', 'http://a.example.com'],
  ['*example.com', 'http://a.example.com'],
  ['10.*', 'http://10.1.2.3'],
  ['10.0.0.0/0', 'http://10.1.2.3'],
  ['10.0.0.0/33', 'http://10.1.2.3'],
  ['10.0.0.0/255.0.0.0', 'http://10.1.2.3'],
  ['fd00::/8', 'http://[fd00::7]:4200'],
  ['[fd00::7]', 'http://[fd00::7]:4200'],
  ['http://a.example', 'http://a.example'],
  ['a.example/path', 'http://a.example/path'],
];

test('the warning is for exactly those that requests does not understand', () => {
  const answers: boolean[] = JSON.parse(execFileSync('python3', ['-c', PROGRAM], { input: JSON.stringify(ENTRIES), encoding: 'utf8' }));
  const warned = ENTRIES.map(([entry]) => {
    const chart = newChart('prefect');
    const api = PrefectApi.server({ url: 'http://prefect.example:4200' });
    new PrefectAgent(chart, 'Agent', { api, proxy: { url: 'http://proxy.example:3128', noProxy: [entry] } });
    return warningsOf(factsOf(chart)).some((line) => line.includes(' no-proxy:'));
  });
  expect(ENTRIES.map(([entry, url], i) => [entry, url, warned[i]])).toEqual(ENTRIES.map(([entry, url], i) => [entry, url, !answers[i]]));
});

// The keys of one cluster's life: made at each start, good for a month.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../run';
import {
  adminKubeconfig,
  apiServerUrl,
  bare,
  firstNode,
  hostAddress,
  kubernetesServiceAddress,
  oldest,
  runDir,
  secondNode,
} from './layout';

const file = (name: string) => join(runDir, name);
const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30'];

export const authority = file('ca.crt');
/** Signs the tokens of service accounts; the API servers check them with the same file. */
export const serviceAccountKey = file('service-account.key');

export async function makeKeys(): Promise<void> {
  await run('openssl', ['req', '-x509', ...newKey, '-keyout', file('ca.key'), '-out', authority, '-subj', '/CN=cdk8s-prefect-test']);
  await run('openssl', ['ecparam', '-genkey', '-name', 'prime256v1', '-noout', '-out', serviceAccountKey]);

  const names = [
    'DNS:kubernetes',
    'DNS:kubernetes.default',
    'DNS:kubernetes.default.svc',
    `IP:${kubernetesServiceAddress}`,
    `IP:${hostAddress}`,
  ];
  await makeCertificate('kube-apiserver', '/CN=kube-apiserver', names);
  // What the API server shows the kubelet when it asks for logs, exec and port-forward.
  await makeCertificate('kubelet-client', '/O=system:masters/CN=kube-apiserver-kubelet-client');

  await makeClient('admin', '/O=system:masters/CN=kubernetes-admin');
  await makeClient('kube-controller-manager', '/CN=system:kube-controller-manager');
  await makeClient('kube-scheduler', '/CN=system:kube-scheduler');
  await makeClient('kube-proxy', '/CN=system:kube-proxy');
  for (const { keys, name, address } of [firstNode, secondNode]) {
    await makeClient(keys, `/O=system:nodes/CN=system:node:${name}`, [`DNS:${name}`, `IP:${address}`]);
  }
  for (const { kubeconfig, url } of [oldest, bare]) writeKubeconfig(kubeconfig, url, 'admin');
}

export const certificateOf = (name: string) => file(`${name}.crt`);
export const keyOf = (name: string) => file(`${name}.key`);
export const kubeconfigOf = (name: string) => (name === 'admin' ? adminKubeconfig : file(`${name}.kubeconfig`));

async function makeClient(name: string, subject: string, names: readonly string[] = []): Promise<void> {
  await makeCertificate(name, subject, names);
  writeKubeconfig(kubeconfigOf(name), apiServerUrl, name);
}

async function makeCertificate(name: string, subject: string, names: readonly string[] = []): Promise<void> {
  const extensions = ['basicConstraints=CA:FALSE', 'extendedKeyUsage=serverAuth,clientAuth'];
  if (names.length > 0) extensions.push(`subjectAltName=${names.join(',')}`);
  const signed = [
    '-x509',
    '-CA',
    authority,
    '-CAkey',
    file('ca.key'),
    ...newKey,
    ...extensions.flatMap((extension) => ['-addext', extension]),
  ];
  await run('openssl', ['req', ...signed, '-keyout', keyOf(name), '-out', certificateOf(name), '-subj', subject]);
}

function writeKubeconfig(path: string, server: string, user: string): void {
  const base64 = (name: string) => readFileSync(name).toString('base64');
  const name = 'cdk8s-prefect-test';
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, 'certificate-authority-data': base64(authority) } }],
    users: [{ name: user, user: { 'client-certificate-data': base64(certificateOf(user)), 'client-key-data': base64(keyOf(user)) } }],
    contexts: [{ name, context: { cluster: name, user } }],
    'current-context': name,
  };
  writeFileSync(path, JSON.stringify(kubeconfig, null, 2), { mode: 0o600 });
}

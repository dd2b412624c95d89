// etcd, the API servers, the controller manager, the scheduler and a `kubectl proxy` to each API server.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Outcome, outcomeOf } from '../run';
import type { Binaries } from './binaries';
import * as layout from './layout';
import { authority, certificateOf, keyOf, kubeconfigOf, serviceAccountKey } from './pki';
import { answers, start, untilReady } from './processes';

/** What the tests read: the requests of the service accounts of their own namespaces, once each, when answered. */
const auditPolicy = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [
    { level: 'None', userGroups: ['system:serviceaccounts:kube-system'] },
    { level: 'Metadata', userGroups: ['system:serviceaccounts'] },
    { level: 'None' },
  ],
};

export async function startControlPlane(binaries: Binaries): Promise<void> {
  const program = (name: string) => join(binaries.kubernetes, name);
  const etcd = { 'listen-client-urls': layout.etcdUrl, 'advertise-client-urls': layout.etcdUrl, 'listen-peer-urls': layout.etcdPeerUrl };
  // The data dies with the cluster, so nothing waits for the disk.
  start('etcd', 'etcd', flags({ 'data-dir': join(layout.runDir, 'etcd'), ...etcd, 'unsafe-no-fsync': true }));
  await untilReady('etcd', () => answers(`${layout.etcdUrl}/health`));

  const auditPolicyFile = join(layout.runDir, 'audit-policy.json');
  writeFileSync(auditPolicyFile, JSON.stringify(auditPolicy));
  start(
    'kube-apiserver',
    program('kube-apiserver'),
    flags({
      ...apiServer(layout.apiServerUrl),
      'service-cluster-ip-range': layout.serviceCidr,
      'authorization-mode': 'Node,RBAC',
      'enable-admission-plugins': 'NodeRestriction,OwnerReferencesPermissionEnforcement',
      'kubelet-certificate-authority': authority,
      'kubelet-client-certificate': certificateOf('kubelet-client'),
      'kubelet-client-key': keyOf('kubelet-client'),
      'kubelet-preferred-address-types': 'InternalIP',
      'audit-policy-file': auditPolicyFile,
      'audit-log-path': layout.auditLog,
      // Tests read on from where they were: a log that is rotated (by default at 100 MB) would lose them their place.
      'audit-log-maxsize': '100000',
    }),
  );
  // No controllers, no node: what these admit is what is asked of them. They share etcd, each under a prefix of its own.
  const alone = (name: string, folder: string, url: string, range: string) =>
    start(
      name,
      join(folder, 'kube-apiserver'),
      flags({
        ...apiServer(url),
        'etcd-prefix': `/registry-of-${name}`,
        'service-cluster-ip-range': range,
        'authorization-mode': 'RBAC',
        'enable-admission-plugins': 'OwnerReferencesPermissionEnforcement',
      }),
    );
  alone('kube-apiserver-1.27', binaries.oldest, layout.oldest.url, '10.97.0.0/16');
  alone('kube-apiserver-bare', binaries.kubernetes, layout.bare.url, '10.98.0.0/16');
  await untilServing('kube-apiserver', layout.adminKubeconfig, binaries);

  const common = { 'bind-address': layout.hostAddress, 'leader-elect': false };
  const controllers = {
    'service-account-private-key-file': serviceAccountKey,
    'root-ca-file': authority,
    'use-service-account-credentials': true,
    // The default of 20 requests a second would let one test with thousands of Jobs keep the Jobs of the other tests waiting for minutes.
    'kube-api-qps': '200',
    'kube-api-burst': '400',
    // A node that is lost is taken for lost after so long, not after the default of 50 seconds. A busy machine is slower than its lease.
    'node-monitor-period': '1s',
    'node-monitor-grace-period': '20s',
  };
  const controllerManager = 'kube-controller-manager';
  start(controllerManager, program(controllerManager), flags({ kubeconfig: kubeconfigOf(controllerManager), ...common, ...controllers }));
  start('kube-scheduler', program('kube-scheduler'), flags({ kubeconfig: kubeconfigOf('kube-scheduler'), ...common }));
  await untilServing('kube-apiserver-1.27', layout.oldest.kubeconfig, binaries);
  await untilServing('kube-apiserver-bare', layout.bare.kubeconfig, binaries);
}

/** Waits for the first that a controller does and a pod cannot do without: the account of the namespace `default`. */
export function untilControllersRun(binaries: Binaries): Promise<void> {
  const hasAccount = async () => (await kubectl(binaries, layout.adminKubeconfig, 'get', 'serviceaccount', 'default')).code === 0;
  return untilReady('kube-controller-manager', hasAccount);
}

/** kubectl as the administrator of one of the API servers. */
export function kubectl(binaries: Pick<Binaries, 'kubernetes'>, kubeconfig: string, ...args: string[]): Promise<Outcome> {
  const env = { ...process.env, KUBECONFIG: kubeconfig, KUBECACHEDIR: layout.kubectlCache };
  return outcomeOf(join(binaries.kubernetes, 'kubectl'), args, { env });
}

function untilServing(name: string, kubeconfig: string, binaries: Binaries): Promise<void> {
  return untilReady(name, async () => (await kubectl(binaries, kubeconfig, 'get', '--raw', '/readyz')).code === 0, 120);
}

/** What all API servers have in common. */
const apiServer = (url: string) => ({
  'etcd-servers': layout.etcdUrl,
  'bind-address': layout.hostAddress,
  'advertise-address': layout.hostAddress,
  'secure-port': new URL(url).port,
  'client-ca-file': authority,
  'tls-cert-file': certificateOf('kube-apiserver'),
  'tls-private-key-file': keyOf('kube-apiserver'),
  'service-account-issuer': 'https://kubernetes.default.svc',
  'service-account-key-file': serviceAccountKey,
  'service-account-signing-key-file': serviceAccountKey,
  'allow-privileged': true,
});

export const flags = (values: Record<string, string | boolean>): string[] =>
  Object.entries(values).map(([name, value]) => `--${name}=${value}`);

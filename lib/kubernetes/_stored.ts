// Normalizes a manifest to the form that an API server stores: with defaults, without zero values that mean the same as a missing
// field, and with quantities by value. Manifests with the same meaning are then equal. test/oracle/upgrade-review.test.ts compares
// the names of fields with k8s.io/api, and test/cluster/upgrade-review.test.ts compares the result with two API servers.

// biome-ignore lint/suspicious/noExplicitAny: manifests are of every kind
export type Fields = Record<string, any>;

const words = (text: string): ReadonlySet<string> => new Set(text.split(' '));

/** Fields in which `false`, `0` or `{}` means the same as a missing field. */
export const VALUES = words(
  'readOnly stdin stdinOnce tty hostNetwork hostPID hostIPC paused publishNotReadyAddresses chapAuthDiscovery chapAuthSession sslEnabled generation partition hostPort containerPort ' +
    'initialDelaySeconds periodSeconds successThreshold failureThreshold seconds weight maxSkew minReadySeconds nodePort ' +
    'healthCheckNodePort timeoutSeconds template metadata spec resources preference podAffinityTerm strategy roleRef',
);
/** Fields in which an empty text differs from a missing field. */
export const POINTERS_TO_TEXT = words(
  'initiatorName cachingMode storageClassName volumeMode volumeAttributesClassName recursiveReadOnly mountPropagation ' +
    'stopSignal gmsaCredentialSpecName gmsaCredentialSpec runAsUserName procMount localhostProfile supplementalGroupsPolicy ' +
    'fsGroupChangePolicy seLinuxChangePolicy runtimeClassName preemptionPolicy nodeAffinityPolicy nodeTaintsPolicy ' +
    'resourceClaimName resourceClaimTemplateName hostnameOverride completionMode podReplacementPolicy ' +
    'managedBy unhealthyPodEvictionPolicy appProtocol ipFamilyPolicy loadBalancerClass internalTrafficPolicy trafficDistribution',
);
/** Maps whose keys the user chooses. */
export const MAPS = words(
  'labels annotations matchLabels nodeSelector data binaryData stringData limits requests overhead volumeAttributes userAnnotations',
);
export const RESOURCES = words('limits requests overhead');
export const QUANTITIES = words('sizeLimit divisor');

export const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
/** A list of objects. Any other value gives an empty list. */
export const listOf = (value: unknown): Fields[] => (Array.isArray(value) ? value.filter(isFields) : []);
export const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {});

/** Whether two values are equal. An undefined field is the same as a missing one, and objects may come from another realm. */
export function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => same(item, b[i]));
  if (!isFields(a) || !isFields(b)) return false;
  const hasAll = (one: Fields, other: Fields) => Object.keys(one).every((key) => one[key] === undefined || Object.hasOwn(other, key));
  return hasAll(b, a) && Object.keys(a).every((key) => same(a[key], Object.hasOwn(b, key) ? b[key] : undefined));
}

/** A manifest without the fields that the server drops or sets by itself. */
export function normalObject({ apiVersion, kind, metadata, status, ...rest }: Fields): Fields {
  const { labels, annotations, finalizers, ownerReferences } = fieldsOf(metadata);
  const { 'kubectl.kubernetes.io/last-applied-configuration': _, ...own } = fieldsOf(annotations);
  const normal = fieldsOf(normalOf({ ...rest, metadata: { labels, annotations: own, finalizers, ownerReferences } }, ''));
  return { apiVersion, kind, ...normal };
}

function normalOf(value: unknown, name: string): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map((item) => (isFields(item) ? normalFields(item) : item));
  if (isFields(value)) {
    if (MAPS.has(name)) {
      const entries = Object.entries(value).map(([key, item]) => [key, RESOURCES.has(name) ? quantityOf(item, true) : (item ?? '')]);
      return entries.length === 0 ? undefined : Object.fromEntries(entries);
    }
    const fields = normalFields(value);
    return Object.keys(fields).length === 0 && VALUES.has(name) ? undefined : fields;
  }
  if (value === null || value === undefined || (value === '' && !POINTERS_TO_TEXT.has(name))) return undefined;
  if ((value === false || value === 0) && VALUES.has(name)) return undefined;
  return QUANTITIES.has(name) ? quantityOf(value, false) : value;
}

function normalFields(fields: Fields): Fields {
  const entries = Object.entries(fields).map(([name, value]) => [name, normalOf(value, name)] as const);
  return Object.fromEntries(entries.filter(([name, value]) => value !== undefined && name !== 'creationTimestamp'));
}

const SUFFIXES = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'];

/** A quantity as a whole number of billionths. The server rounds resources up to thousandths. Any other value stays as it is. */
export function quantityOf(value: unknown, isResource: boolean): unknown {
  const parts = /^\+?(\d{0,30})(?:\.(\d{0,30}))?(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d{1,2}))?$/.exec(String(value));
  if (!parts || (typeof value !== 'string' && typeof value !== 'number')) return value;
  const [, whole = '', fraction = '', suffix = '', exponent = '0'] = parts;
  if (whole + fraction === '') return value;
  const power = suffix.endsWith('i') ? 9 : 3 * SUFFIXES.indexOf(suffix) + Number(exponent);
  const binary = suffix.endsWith('i') ? 1024n ** BigInt('KMGTPE'.indexOf(suffix.charAt(0)) + 1) : 1n;
  const scale = power - fraction.length - (isResource ? 6 : 0);
  const digits = BigInt(whole + fraction) * binary;
  const step = 10n ** BigInt(Math.abs(scale));
  const rounded = scale >= 0 ? digits * step : (digits + step - 1n) / step;
  return `${rounded * (isResource ? 1_000_000n : 1n)}n`;
}

/** Sets the defaults of a normalized manifest in place. */
export function withDefaults(manifest: Fields): Fields {
  const { kind } = manifest;
  if (kind === 'ServiceAccount' || kind === 'ConfigMap' || kind === 'Namespace') return manifest;
  if (kind === 'RoleBinding' || kind === 'ClusterRoleBinding') {
    fill(fieldsOf(manifest.roleRef), { apiGroup: 'rbac.authorization.k8s.io' });
    for (const subject of listOf(manifest.subjects))
      if (subject.kind !== 'ServiceAccount') fill(subject, { apiGroup: 'rbac.authorization.k8s.io' });
    return manifest;
  }
  if (kind === 'Secret') return fill(manifest, { type: 'Opaque' });
  if (!isFields(manifest.spec)) return manifest;
  const { spec } = manifest;
  if (kind === 'Deployment') defaultDeployment(spec);
  if (kind === 'Job') defaultJob(spec);
  if (kind === 'NetworkPolicy') {
    fill(spec, { podSelector: {}, policyTypes: spec.egress === undefined ? ['Ingress'] : ['Ingress', 'Egress'] });
    for (const rule of [...listOf(spec.ingress), ...listOf(spec.egress)])
      for (const port of listOf(rule.ports)) fill(port, { protocol: 'TCP' });
  }
  if (kind === 'Service') {
    fill(spec, { type: 'ClusterIP', sessionAffinity: 'None', internalTrafficPolicy: 'Cluster' });
    for (const port of listOf(spec.ports)) fill(port, { protocol: 'TCP', targetPort: port.port });
  }
  if (isFields(spec.template)) defaultPod(fill(spec.template, { spec: {} }).spec);
  return manifest;
}

/** Sets the missing fields in place. */
function fill(fields: Fields, defaults: Fields): Fields {
  for (const [name, value] of Object.entries(defaults)) if (fields[name] === undefined) fields[name] = value;
  return fields;
}

function defaultDeployment(spec: Fields): void {
  fill(spec, { replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600, strategy: {}, template: {} });
  if (fill(spec.strategy, { type: 'RollingUpdate' }).type === 'RollingUpdate') {
    fill(fill(spec.strategy, { rollingUpdate: {} }).rollingUpdate, { maxUnavailable: '25%', maxSurge: '25%' });
  }
}

function defaultJob(spec: Fields): void {
  if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1;
  fill(spec, { parallelism: 1, backoffLimit: spec.backoffLimitPerIndex === undefined ? 6 : 2 ** 31 - 1 });
  fill(spec, { completionMode: 'NonIndexed', suspend: false, manualSelector: false });
  fill(spec, { podReplacementPolicy: spec.podFailurePolicy === undefined ? 'TerminatingOrFailed' : 'Failed' });
}

/** @see https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/apis/core/v1/defaults.go */
function defaultPod(spec: Fields): void {
  fill(spec, { dnsPolicy: 'ClusterFirst', restartPolicy: 'Always', schedulerName: 'default-scheduler' });
  fill(spec, { securityContext: {}, terminationGracePeriodSeconds: 30 });
  // `serviceAccount` is the old name of the field. The server keeps both equal, so removing only one has no effect.
  const account = spec.serviceAccountName ?? spec.serviceAccount;
  if (account !== undefined) Object.assign(spec, { serviceAccountName: account, serviceAccount: account });
  for (const container of [...listOf(spec.initContainers), ...listOf(spec.containers)]) {
    fill(container, { imagePullPolicy: isLatest(container.image) ? 'Always' : 'IfNotPresent' });
    fill(container, { terminationMessagePath: '/dev/termination-log', terminationMessagePolicy: 'File' });
    for (const port of listOf(container.ports)) fill(port, { protocol: 'TCP' });
    for (const { valueFrom } of listOf(container.env)) defaultFieldRef(valueFrom);
    for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe].filter(isFields)) {
      defaultHttpGet(fill(probe, { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 }));
    }
    for (const hook of Object.values(fieldsOf(container.lifecycle))) defaultHttpGet(hook);
  }
  for (const volume of listOf(spec.volumes)) {
    if (Object.keys(volume).length <= 1) volume.emptyDir = {};
    for (const source of ['secret', 'configMap', 'downwardAPI', 'projected']) {
      if (isFields(volume[source])) fill(volume[source], { defaultMode: 420 });
    }
    for (const projected of listOf(volume.projected?.sources)) {
      if (isFields(projected.serviceAccountToken)) fill(projected.serviceAccountToken, { expirationSeconds: 3600 });
      for (const item of listOf(projected.downwardAPI?.items)) defaultFieldRef(item);
    }
    for (const item of listOf(volume.downwardAPI?.items)) defaultFieldRef(item);
  }
}

function defaultFieldRef(source: unknown): void {
  if (isFields(source) && isFields(source.fieldRef)) fill(source.fieldRef, { apiVersion: 'v1' });
}

function defaultHttpGet(handler: unknown): void {
  if (isFields(handler) && isFields(handler.httpGet)) fill(handler.httpGet, { path: '/', scheme: 'HTTP' });
}

function isLatest(image: unknown): boolean {
  const name = String(image ?? '').replace(/^.*\//s, '');
  return !name.includes('@') && (!name.includes(':') || name.endsWith(':latest'));
}

// The pods in manifests: those of Deployments and Jobs, and those in the templates of ConfigMaps, which flow runs use.
import { type Fields, fieldsOf, isFields } from '../kubernetes/_stored';

/** A pod and its origin. */
export interface PodOf {
  readonly spec: Fields;
  readonly namespace: string;
  /** The path of the pod spec in its object. */
  readonly path: string;
  /** Whether it is a pod of flow runs. */
  readonly isFlow: boolean;
}

/** The files in ConfigMaps that contain a Job or a pod. */
const TEMPLATE = /^(job|worker|scheduler)\.yaml$/;

/** The last parsed files. Many teams of a fleet have the same template, and each is read several times. */
const parsed = new Map<string, Fields | undefined>();

/** The Job or pod in a file of a ConfigMap, or `undefined`. Do not change it, because it is shared. */
export function templateOf(text: unknown): Fields | undefined {
  if (typeof text !== 'string') return undefined;
  if (parsed.size > 1_000) parsed.clear();
  if (!parsed.has(text)) parsed.set(text, parseTemplate(text));
  return parsed.get(text);
}

function parseTemplate(text: string): Fields | undefined {
  const { parseDocument } = require('yaml') as typeof import('yaml');
  try {
    const document = parseDocument(text, { version: '1.1', logLevel: 'silent' });
    const value = document.errors.length > 0 ? undefined : document.toJS();
    return isFields(value) && isFields(value.spec) ? value : undefined;
  } catch {
    return undefined;
  }
}

export const isTemplate = (file: string): boolean => TEMPLATE.test(file);

export function podsOf(manifest: Fields, flowNamespace?: string): PodOf[] {
  const { kind, metadata, spec, data } = manifest;
  const namespace = metadata.namespace ?? '';
  if (kind === 'Deployment' || kind === 'Job') {
    return [{ spec: fieldsOf(spec?.template?.spec), namespace, path: 'spec.template.spec', isFlow: kind === 'Job' }];
  }
  if (kind !== 'ConfigMap') return [];
  return Object.entries(fieldsOf(data)).flatMap(([file, text]) => {
    const template = isTemplate(file) ? templateOf(text) : undefined;
    if (template === undefined) return [];
    const isJob = isFields(template.spec.template);
    const pod = fieldsOf(isJob ? template.spec.template.spec : template.spec);
    const path = `data[${file}] ${isJob ? 'spec.template.spec' : 'spec'}`;
    return [{ spec: pod, namespace: isJob ? (flowNamespace ?? namespace) : namespace, path, isFlow: true }];
  });
}

export const accountOf = (pod: Fields): string => pod.serviceAccountName ?? pod.serviceAccount ?? 'default';

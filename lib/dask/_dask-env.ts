import type { k8s } from 'cdk8s-plus-27';
import type { Plain } from '../kubernetes/_manifest';
import type { DaskSettings } from './_dask-settings';
import { DaskDeployMode } from './dask-options';

/** Mount path of the files from `_dask-files.ts` in the flow run and the scheduler. */
export const DASK_FOLDER = '/etc/prefect/dask';

/**
 * The pod of the flow run as owner, with variables for its name and uid. It is no controller, because drains and autoscalers expect a
 * controller to replace pods.
 */
export function flowPodAsOwner(name: string, uid: string) {
  return { apiVersion: 'v1', kind: 'Pod', name, uid };
}

/**
 * Environment variables of the flow container for Dask. The order matters: the kubelet expands `$(NAME)` only for earlier variables.
 * @see https://docs.dask.org/en/latest/configuration.html
 */
export function renderDaskEnv({ deployMode, idleTimeout }: DaskSettings): Plain<k8s.EnvVar>[] {
  const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  // Dask expands no variables in these two templates and reads them as Python literals, which here are the same as JSON
  // (dask/dask-kubernetes#261).
  const owned = JSON.stringify({ metadata: { ownerReferences: [flowPodAsOwner('$(POD_NAME)', '$(POD_UID)')] } });
  return [
    field('POD_NAME', 'metadata.name'),
    field('POD_UID', 'metadata.uid'),
    field('POD_NAMESPACE', 'metadata.namespace'),
    // Kubernetes treats an owner in another namespace as deleted, and would delete the pods.
    { name: 'DASK_KUBERNETES__NAMESPACE', value: '$(POD_NAMESPACE)' },
    { name: 'DASK_KUBERNETES__NAME', value: 'dask-{POD_NAME}-{uuid}' },
    { name: 'DASK_KUBERNETES__DEPLOY_MODE', value: deployMode },
    ...(idleTimeout === undefined ? [] : [{ name: 'DASK_KUBERNETES__IDLE_TIMEOUT', value: `${idleTimeout}s` }]),
    // A template in the configuration of the image would override the path.
    { name: 'DASK_KUBERNETES__WORKER_TEMPLATE', value: 'None' },
    { name: 'DASK_KUBERNETES__WORKER_TEMPLATE_PATH', value: `${DASK_FOLDER}/worker.yaml` },
    ...(deployMode === DaskDeployMode.LOCAL
      ? []
      : [
          { name: 'DASK_KUBERNETES__SCHEDULER_TEMPLATE', value: 'None' },
          { name: 'DASK_KUBERNETES__SCHEDULER_TEMPLATE_PATH', value: `${DASK_FOLDER}/scheduler.yaml` },
          { name: 'DASK_KUBERNETES__SCHEDULER_SERVICE_TEMPLATE', value: owned },
          { name: 'DASK_KUBERNETES__SCHEDULER_PDB_TEMPLATE', value: owned },
        ]),
    { name: 'DOLLAR', value: '$' },
    { name: 'DASK_DISTRIBUTED__CLIENT__PRELOAD', value: `['${DASK_FOLDER}/prefect_dask_client.py']` },
  ];
}

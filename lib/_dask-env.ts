import type { k8s } from 'cdk8s-plus-27';
import type { DaskSettings } from './_dask-settings';
import { DaskDeployMode } from './dask-options';

/** Where flow run and scheduler see the files that `_dask-files.ts` makes. */
export const DASK_FOLDER = '/etc/prefect/dask';

/** The flow run's pod as owner, with what expands its name and uid. No controller: drains and autoscalers would count on one. */
export function flowPodAsOwner(name: string, uid: string) {
  return { apiVersion: 'v1', kind: 'Pod', name, uid };
}

/**
 * What the flow run's container is told of Dask, in this order: the kubelet expands `$(NAME)` of variables that come before.
 * @see https://docs.dask.org/en/latest/configuration.html
 */
export function renderDaskEnv({ deployMode, idleTimeout }: DaskSettings): k8s.EnvVar[] {
  const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  // Dask expands nothing in these two templates, and reads them as Python: the same as JSON here (dask/dask-kubernetes#261).
  const owned = JSON.stringify({ metadata: { ownerReferences: [flowPodAsOwner('$(POD_NAME)', '$(POD_UID)')] } });
  return [
    field('POD_NAME', 'metadata.name'),
    field('POD_UID', 'metadata.uid'),
    field('POD_NAMESPACE', 'metadata.namespace'),
    // An owner in another namespace would count as gone, and the pods with it.
    { name: 'DASK_KUBERNETES__NAMESPACE', value: '$(POD_NAMESPACE)' },
    { name: 'DASK_KUBERNETES__NAME', value: 'dask-{POD_NAME}-{uuid}' },
    { name: 'DASK_KUBERNETES__DEPLOY_MODE', value: deployMode },
    ...(idleTimeout === undefined ? [] : [{ name: 'DASK_KUBERNETES__IDLE_TIMEOUT', value: `${idleTimeout}s` }]),
    // One in the image's own configuration would come before the path.
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

import { checkImage } from '../kubernetes/_checks';
import { refuse, type Where } from '../kubernetes/_refuse';

const PREFECT_TAG = /^(?:docker\.io\/)?prefecthq\/prefect:([^@]+)/;

/** The default image of a worker and of the program of a work pool. */
export const WORKER_IMAGE = 'prefecthq/prefect:3.9.1-python3.11-kubernetes';

/** Checks the image of flow runs, which may have any release of Prefect 3. */
export function checkFlowImage(where: Where, prop: string, image: string): string {
  const tag = PREFECT_TAG.exec(checkImage(where, prop, image))?.[1];
  if (tag !== undefined && !/^3[.-]/.test(tag)) {
    refuse(where, {
      prop,
      value: image,
      allowed: 'must be an image of Prefect 3',
      remedy: 'write for example prefecthq/prefect:3.9.1-python3.11, or use FlowJobTemplate for Prefect 1',
    });
  }
  return image;
}

/** Checks by its tag that an image has Prefect 3.9 or newer and prefect-kubernetes. Older workers create other Jobs. */
export function checkWorkerImage(where: Where, prop: string, image: string): string {
  const tag = PREFECT_TAG.exec(checkImage(where, prop, image))?.[1];
  const [, minor] = /^3\.(\d+)\.\d+-python3\.\d+-kubernetes$/.exec(tag ?? '') ?? [];
  if (tag !== undefined && Number(minor ?? 0) < 9) {
    refuse(where, {
      prop,
      value: image,
      allowed: 'must be Prefect 3.9 or newer with prefect-kubernetes, whose tag ends in -kubernetes',
      remedy: `write for example ${WORKER_IMAGE}`,
    });
  }
  return image;
}

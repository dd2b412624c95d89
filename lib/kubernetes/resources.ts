import type { Size } from 'cdk8s';
import { checkArguments } from './_guard';
import { refuse } from './_refuse';

/**
 * An amount of processor time.
 *
 * @see https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#meaning-of-cpu
 */
export class Cpu {
  /**
   * Thousandths of a CPU (millicores).
   *
   * @param amount a whole number of millicores
   */
  public static millis(amount: number): Cpu {
    checkArguments('Cpu.millis', { amount });
    return new Cpu('millis', amount, amount);
  }

  /**
   * CPUs. 0.25 is 250 millicores.
   *
   * @param amount a number of CPUs, with at most three decimal places
   */
  public static units(amount: number): Cpu {
    checkArguments('Cpu.units', { amount });
    return new Cpu('units', amount, amount * 1000);
  }

  /** Thousandths of a CPU (millicores). */
  public readonly millicores: number;

  private constructor(unit: string, amount: number, millicores: number) {
    this.millicores = Math.round(millicores);
    if (!(this.millicores > 0 && Number.isSafeInteger(this.millicores)) || Math.abs(this.millicores - millicores) > 1e-6) {
      refuse('Cpu', {
        prop: unit,
        value: amount,
        allowed: 'must be a positive whole number of thousandths of a CPU',
        remedy: 'write for example Cpu.millis(250)',
      });
    }
  }
}

/**
 * Resource requests and limits of a container. The library adds no others.
 *
 * @see https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/
 */
export interface ContainerResources {
  /**
   * CPU request: what the scheduler reserves.
   *
   * @default - the limit, if there is one
   */
  readonly cpuRequest?: Cpu;
  /**
   * CPU limit: above it, the container is throttled.
   *
   * @default - none
   */
  readonly cpuLimit?: Cpu;
  /**
   * Memory request: what the scheduler reserves.
   *
   * @default - the limit, if there is one
   */
  readonly memoryRequest?: Size;
  /**
   * Memory limit: above it, the container is killed.
   *
   * @default - none
   */
  readonly memoryLimit?: Size;
  /**
   * Ephemeral storage request (log files, emptyDir volumes, writable layer): what the scheduler reserves.
   *
   * @default - the limit, if there is one
   */
  readonly ephemeralStorageRequest?: Size;
  /**
   * Ephemeral storage limit: above it, the pod is evicted.
   *
   * @default - none
   */
  readonly ephemeralStorageLimit?: Size;
  /**
   * Extended resources such as devices, by name with domain: `{ 'nvidia.com/gpu': 1 }`. Whole numbers, used as request and limit.
   *
   * @default - none
   * @see https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#extended-resources
   */
  readonly extendedResources?: { [name: string]: number };
}

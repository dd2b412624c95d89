import type { Size } from 'cdk8s';
import { refuse } from './_refuse';

/**
 * An amount of processor time.
 *
 * @see https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#meaning-of-cpu
 */
export class Cpu {
  /** Thousandths of a CPU. */
  public static millis(amount: number): Cpu {
    return new Cpu('millis', amount, amount);
  }

  /** Whole CPUs; 0.25 is 250 thousandths. */
  public static units(amount: number): Cpu {
    return new Cpu('units', amount, amount * 1000);
  }

  /** Thousandths of a CPU. */
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
 * What a container asks for and may use at most. Nothing is added to what is written here.
 *
 * @see https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/
 */
export interface ContainerResources {
  /**
   * CPU that the scheduler sets aside.
   *
   * @default - the limit, if there is one
   */
  readonly cpuRequest?: Cpu;
  /**
   * CPU above which the container is throttled.
   *
   * @default - none
   */
  readonly cpuLimit?: Cpu;
  /**
   * Memory that the scheduler sets aside.
   *
   * @default - the limit, if there is one
   */
  readonly memoryRequest?: Size;
  /**
   * Memory above which the container is killed.
   *
   * @default - none
   */
  readonly memoryLimit?: Size;
  /**
   * Disk (log files, emptyDir volumes, writable layer) that the scheduler sets aside.
   *
   * @default - the limit, if there is one
   */
  readonly ephemeralStorageRequest?: Size;
  /**
   * Disk above which the pod is evicted.
   *
   * @default - none
   */
  readonly ephemeralStorageLimit?: Size;
  /**
   * Devices and the like, by their name with domain: `{ 'nvidia.com/gpu': 1 }`. Whole numbers, set aside and allowed at once.
   *
   * @default - none
   * @see https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#extended-resources
   */
  readonly extendedResources?: { [name: string]: number };
}

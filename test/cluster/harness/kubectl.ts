import type { KubeObject } from './api-server';
import { type Outcome, outcomeOf, type RunOptions, run } from './run';

/** Objects, or the YAML that a synth has written. */
export type Manifests = string | readonly KubeObject[];

/** In a form that `kubectl --filename` reads. */
const textOf = (manifests: Manifests) =>
  typeof manifests === 'string' ? manifests : JSON.stringify({ apiVersion: 'v1', kind: 'List', items: manifests });

/** The kubectl of the cluster, in one namespace or for objects that have none. */
export class Kubectl {
  constructor(
    private readonly command: string,
    private readonly kubeconfig: string,
    private readonly namespace?: string,
  ) {}

  /** kubectl as it is, for what has no method here. */
  kubectl(args: readonly string[], input?: string): Promise<string> {
    return run(this.command, this.inNamespace(args), { env: this.env, input });
  }

  outcome(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    return outcomeOf(this.command, this.inNamespace(args), { env: this.env, ...options });
  }

  /** `kubectl apply`, strict about fields as it is by default. Gives what it printed. */
  apply(manifests: Manifests): Promise<string> {
    return this.kubectl(['apply', '--filename', '-'], textOf(manifests));
  }

  /** `kubectl diff`: what applying would change; empty if nothing. */
  async diff(manifests: Manifests): Promise<string> {
    const { code, stdout, stderr } = await this.outcome(['diff', '--filename', '-'], { input: textOf(manifests) });
    // kubectl: 0 without differences, 1 with, more on an error.
    if (code === 0 || (code === 1 && stdout)) return stdout;
    throw new Error(`kubectl diff ended with ${code}: ${stderr}`);
  }

  /** Deletes an object and waits until it is gone; one that is gone already is fine. */
  async delete(kind: string, name: string): Promise<void> {
    await this.kubectl(['delete', kind, name, '--ignore-not-found']);
  }

  private get env(): NodeJS.ProcessEnv {
    return { ...process.env, KUBECONFIG: this.kubeconfig };
  }

  private inNamespace(args: readonly string[]): readonly string[] {
    return this.namespace ? ['--namespace', this.namespace, ...args] : args;
  }
}

import { execFileSync } from 'node:child_process';
import { root } from './packages';

/** Makes the packages that these tests install, unless they were just made: CDK8S_PREFECT_PACKAGED=1 says so. */
export default function setup(): void {
  if (process.env.CDK8S_PREFECT_PACKAGED !== '1') execFileSync('npm', ['run', '--silent', 'package'], { cwd: root, stdio: 'inherit' });
}

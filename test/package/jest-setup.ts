import { execFileSync } from 'node:child_process';
import { root } from './packages';

/** Makes the packages that these tests install, as a release does. */
export default function setup(): void {
  execFileSync('npm', ['run', '--silent', 'package'], { cwd: root, stdio: 'inherit' });
}

// An agent for each team of teams.yaml, each in a folder of its own: dist/fraud/fraud.k8s.yaml and so on.
import { join } from 'node:path';
import { Fleet } from 'cdk8s-prefect';

new Fleet({ file: join(__dirname, 'teams.yaml') }).synth();

/** Asks the real Prefect, in the `python3` of PATH, which tasks a flow's script has. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { RegisteredTask } from './flows';

const PROGRAM = `
import json, sys
from prefect.utilities.storage import extract_flow_from_file
flow = extract_flow_from_file(file_path=sys.argv[1], flow_name=sys.argv[2])
print(json.dumps(flow.serialize()["tasks"]))
`;

/**
 * The tasks that registering the flow would send. Their slugs are what a run is matched by, and not all are in the script: a list that is
 * mapped over is a task too.
 * @see PrefectHQ/prefect src/prefect/engine/cloud/flow_runner.py initialize_run
 */
export function tasksOf(script: string, flow: string): RegisteredTask[] {
  const key = JSON.stringify([script, flow, readFileSync(script, 'utf8')]);
  let tasks = answers.get(key);
  if (tasks === undefined) {
    const output = execFileSync('python3', ['-c', PROGRAM, script, flow], { encoding: 'utf8' });
    tasks = output.trim().split('\n').at(-1) as string;
    answers.set(key, tasks);
  }
  return JSON.parse(tasks);
}

/** Prefect takes seconds to start, and tests schedule the same flow many times. */
const answers = new Map<string, string>();

import { writeFileSync } from 'node:fs';
import * as vega from 'vega';
import { compile } from 'vega-lite';
import { median } from './samples.mjs';

/** Time over the number of agents, both logarithmic: a line of slope 1 is linear, of slope 2 quadratic. */
export async function plot(fleets, versions, path) {
  const values = fleets.map(({ name, agents, millis }) => ({ name, agents, seconds: median(millis) / 1000 }));
  const domain = [...new Set(values.map(({ agents }) => agents))];
  const { spec } = compile({
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    background: 'white',
    width: 560,
    height: 360,
    title: {
      text: 'Synthesis of a fleet: 9 objects an agent',
      subtitle: Object.entries(versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(' · ')
        .match(/.{1,95}( · |$)/g),
    },
    data: { values },
    mark: { type: 'line', point: true },
    encoding: {
      x: { field: 'agents', type: 'quantitative', scale: { type: 'log' }, axis: { values: domain, format: ',d' } },
      y: { field: 'seconds', type: 'quantitative', scale: { type: 'log' }, title: 'seconds (median)', axis: { format: '~g' } },
      color: { field: 'name', type: 'nominal', title: null, legend: { labelLimit: 0 } },
    },
  });
  const view = new vega.View(vega.parse(spec), { renderer: 'none' });
  writeFileSync(path, `${await view.toSVG()}\n`);
}

import { DebugConfig, type DebugConfigProps, LogLevel } from '../../lib';
import { chartWith, newChart, only, synth, tree } from '../support';

const toml = (props?: DebugConfigProps) =>
  only(
    'ConfigMap',
    synth((chart) => new DebugConfig(chart, 'Debug', props)),
  ).data['config.toml'];

const allProps: Required<DebugConfigProps> = {
  level: LogLevel.WARNING,
  flowLevel: LogLevel.DEBUG,
  resourceName: 'team-config',
};

describe('minimal', () => {
  test('ConfigMap', () => expect(synth((chart) => new DebugConfig(chart, 'Debug'))).toMatchSnapshot('ConfigMap'));
  test('paths are a contract', () => {
    expect(tree(chartWith((chart) => new DebugConfig(chart, 'Debug')))).toEqual([
      'chart Chart',
      'chart/Debug DebugConfig',
      'chart/Debug/Resource ApiObject',
    ]);
  });
});

test('all props', () => expect(synth((chart) => new DebugConfig(chart, 'Debug', allProps))).toMatchSnapshot('ConfigMap'));

test('the agent logs at DEBUG, its flows as Prefect has it', () => expect(toml()).toBe('[cloud.agent]\nlevel = "DEBUG"\n'));
test('level', () => expect(toml({ level: LogLevel.ERROR })).toContain('[cloud.agent]\nlevel = "ERROR"\n'));
test('flowLevel', () => expect(toml({ flowLevel: LogLevel.DEBUG })).toContain('\n[logging]\nlevel = "DEBUG"\n'));
test('the checksum follows the content', () => {
  const checksum = (props?: DebugConfigProps) => new DebugConfig(newChart('prefect'), 'Debug', props).checksum;
  expect(checksum()).toBe(checksum({ level: LogLevel.DEBUG, resourceName: 'other' }));
  expect(checksum()).not.toBe(checksum({ level: LogLevel.INFO }));
});
test('refuses a resourceName that Kubernetes refuses', () => {
  expect(() => toml({ resourceName: 'config_toml' })).toThrow('chart/Debug: resourceName is "config_toml": it must be a DNS label');
});

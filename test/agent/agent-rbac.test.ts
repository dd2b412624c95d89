import { AgentRbac, type AgentRbacProps } from '../../lib';
import { chartWith, newChart, only, synth, tree } from '../support';

const rbac = (props: AgentRbacProps = {}) => synth((chart) => new AgentRbac(chart, 'Rbac', props));

const allProps: Required<AgentRbacProps> = {
  flowNamespace: 'flows',
  resourceName: 'team-agent',
  serviceAccountName: 'team-account',
  deleteFinishedJobs: false,
};

describe('minimal', () => {
  test('Role', () => expect(only('Role', rbac())).toMatchSnapshot('Role'));
  test('RoleBinding', () => expect(only('RoleBinding', rbac())).toMatchSnapshot('RoleBinding'));
  test('ServiceAccount', () => expect(only('ServiceAccount', rbac())).toMatchSnapshot('ServiceAccount'));
  test('paths are a contract', () => {
    expect(tree(chartWith((chart) => new AgentRbac(chart, 'Rbac')))).toEqual([
      'chart Chart',
      'chart/Rbac AgentRbac',
      'chart/Rbac/ServiceAccount ApiObject',
      'chart/Rbac/Resource ApiObject',
      'chart/Rbac/RoleBinding ApiObject',
    ]);
  });
});

test('all props', () => expect(rbac(allProps)).toMatchSnapshot('Role and RoleBinding'));

test('no rule has a wildcard', () => expect(JSON.stringify(rbac())).not.toContain('"*"'));
test('Role and RoleBinding are in the namespace of the flows, the account in its own', () => {
  expect(rbac({ flowNamespace: 'flows' }).map(({ kind, metadata }) => [kind, metadata.namespace])).toEqual([
    ['ServiceAccount', 'prefect'],
    ['Role', 'flows'],
    ['RoleBinding', 'flows'],
  ]);
});
test('the RoleBinding names the namespace of the account', () => {
  expect(only('RoleBinding', rbac({ flowNamespace: 'flows' })).subjects).toEqual([
    { kind: 'ServiceAccount', name: 'prefect-agent', namespace: 'prefect' },
  ]);
});
test('no token is mounted for the account unasked', () => {
  expect(only('ServiceAccount', rbac()).automountServiceAccountToken).toBe(false);
});
test('an existing account is bound, and not made', () => {
  const manifests = rbac({ serviceAccountName: 'team' });
  expect(manifests.map(({ kind }) => kind)).toEqual(['Role', 'RoleBinding']);
  expect(only('RoleBinding', manifests).subjects[0].name).toBe('team');
});
test('serviceAccountName is for the agent to use', () => {
  expect(new AgentRbac(newChart('prefect'), 'Rbac', { resourceName: 'second' }).serviceAccountName).toBe('second');
});

describe('refuses', () => {
  test('a chart without a namespace', () => {
    expect(() => new AgentRbac(newChart(), 'Rbac')).toThrow('chart/Rbac: the namespace of its chart must be set');
  });
  test.each<[keyof AgentRbacProps, string]>([
    ['flowNamespace', 'flows.team'],
    ['resourceName', 'Agent'],
    ['serviceAccountName', 'a_b'],
  ])('a %s that Kubernetes refuses', (prop, value) => {
    expect(() => rbac({ [prop]: value })).toThrow(`chart/Rbac: ${prop} is "${value}": it must be a DNS`);
  });
  test('a second one of the same name', () => {
    expect(() =>
      synth((chart) => {
        new AgentRbac(chart, 'One');
        new AgentRbac(chart, 'Two');
      }),
    ).toThrow('resourceName is "prefect-agent": it must be unique');
  });
});

import { JobVariable } from '../../lib';

describe('refuses', () => {
  test.each<[string, () => JobVariable, string]>([
    ['no choice', () => JobVariable.choice([]), 'JobVariable: values is []: it must not be empty'],
    ['a choice twice', () => JobVariable.choice(['a', 'a']), 'JobVariable: values[1] is "a": it must not be given twice'],
    ['a default that is no choice', () => JobVariable.choice(['a'], { default: 'b' }), 'JobVariable: default is "b": it must be one of a'],
    [
      'a default without the pattern',
      () => JobVariable.string({ pattern: '^a', default: 'b' }),
      'default is "b": it must match the pattern ^a',
    ],
    ['a pattern that is none', () => JobVariable.string({ pattern: '(' }), 'pattern is "(": it must be a regular expression'],
    [
      'a pattern that Python does not know',
      () => JobVariable.string({ pattern: '\\p{L}' }),
      'it must be a regular expression in both Python and JavaScript',
    ],
    ['half a number', () => JobVariable.integer({ default: 0.5 }), 'default is 0.5: it must be a whole number'],
    ['a default above the maximum', () => JobVariable.integer({ default: 5, maximum: 4 }), 'default is 5: it must be from'],
    [
      'a minimum above the maximum',
      () => JobVariable.integer({ minimum: 5, maximum: 4 }),
      'minimum is 5: it must be at most the maximum, 4',
    ],
    [
      'a default of what is required',
      () => JobVariable.boolean({ required: true, default: false }),
      'required is true: it must not have a default',
    ],
  ])('%s', (_name, make, message) => expect(make).toThrow(message));
});

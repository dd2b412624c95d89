import { Yaml } from 'cdk8s';
import { stringifyManifests } from '../../lib/kubernetes/_yaml';
import { apps, synthApp } from '../apps';
import fc from '../fast-check';

const RUNS = process.env.FULL === '1' ? 20_000 : 500;

const piece = fc.constantFrom(
  ...[
    '',
    ' ',
    '  ',
    '\n',
    '\n\n',
    '\r',
    '\t',
    '\u2028',
    '\u0085',
    '- ',
    '? ',
    ': ',
    '#',
    '|',
    '>',
    '%',
    '---',
    '...',
    '&a',
    '*a',
    '{',
    '[',
    '"',
    "'",
  ],
  ...['null', ' null', 'true', 'y', '=', '<<', '0o17', '017', '0x1F', '1e3', '1_000', '2001-01-01', '12:30:45', '$1', '$&', 'a', 'é', '😀'],
);
const text = fc.oneof(
  fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join('')),
  fc.string(),
  fc.string({ minLength: 80, maxLength: 200 }),
);
const key = fc.oneof({ weight: 8, arbitrary: fc.stringMatching(/^[a-z0-9_][a-z0-9_./-]{0,8}$/) }, { weight: 1, arbitrary: text });
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(text, fc.integer(), fc.double(), fc.boolean(), fc.constant(null)),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(key, tie('value'), { maxKeys: 4 }),
  ),
}));

test(`${RUNS} lists of documents are written byte for byte as by cdk8s`, () => {
  fc.assert(
    fc.property(fc.array(fc.dictionary(key, value, { minKeys: 1 })), (given) => {
      // As manifests are when they are written: a tree of JSON, in which no object is twice.
      const documents = JSON.parse(JSON.stringify(given));
      expect(stringifyManifests(documents)).toBe(Yaml.stringify(...documents));
    }),
    { numRuns: RUNS },
  );
});

test.each(apps)('so are those of %s', (app) => {
  const manifests = synthApp(app);
  expect(stringifyManifests(manifests)).toBe(Yaml.stringify(...JSON.parse(JSON.stringify(manifests))));
});

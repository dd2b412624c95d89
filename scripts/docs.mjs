// Writes the documents that are generated from the code and from the tests' pins: node scripts/docs.mjs [FOLDER]
// Run `npm run compile` first. A test compares what is in git with what this writes.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compatibility } from './docs/compatibility.mjs';
import { guidesWithPython } from './docs/guides.mjs';
import { reference } from './docs/reference.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = process.argv[2] ?? root;
const read = (file) => readFileSync(join(root, file), 'utf8');

write('API.md', reference(root));
write('docs/compatibility.md', compatibility(read));
for (const [file, text] of Object.entries(guidesWithPython(root))) write(file, text);

function write(file, text) {
  mkdirSync(dirname(join(folder, file)), { recursive: true });
  writeFileSync(join(folder, file), text);
}

import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TargetLanguage, Translator, typeScriptSnippetFromCompleteSource } from 'jsii-rosetta';

/** Translates TypeScript into Python, as the docstrings of the package for PyPI are: `{ source, place }` each. */
export function toPython(root, snippets) {
  // Where `import 'cdk8s-prefect'` finds this repository.
  const directory = mkdtempSync(join(tmpdir(), 'cdk8s-prefect-'));
  const modules = join(directory, 'node_modules');
  mkdirSync(modules);
  for (const name of readdirSync(join(root, 'node_modules')))
    if (!name.startsWith('.')) symlinkSync(join(root, 'node_modules', name), join(modules, name));
  symlinkSync(root, join(modules, 'cdk8s-prefect'));
  try {
    const translator = new Translator(true);
    const translated = translator.translateSnippets(
      snippets.map(({ source, place }, line) =>
        typeScriptSnippetFromCompleteSource(source, { api: { api: 'file', fileName: place }, field: { field: 'markdown', line } }, true, {
          $compilation: directory,
        }),
      ),
      [TargetLanguage.PYTHON],
    );
    const errors = translator.diagnostics.filter(({ isError }) => isError);
    if (errors.length > 0) throw new Error(errors.map(({ formattedMessage }) => formattedMessage).join('\n'));
    return translated.map((snippet, i) => withVerbatimKeys(tidy(snippet.get(TargetLanguage.PYTHON).source), snippets[i].source));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Keys of verbatim Kubernetes objects stay as they are: jsii-rosetta writes them in snake case, as it does props. */
function withVerbatimKeys(python, typescript) {
  return python.replace(/"([a-z0-9]+(?:_[a-z0-9]+)+)":/g, (key, snake) => {
    const camel = snake.replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase());
    const has = (name) => new RegExp(`\\b${name}['"]?:`).test(typescript);
    return has(camel) && !has(snake) ? `"${camel}":` : key;
  });
}

/** One import of each module, in order: jsii-rosetta imports structs on lines of their own. */
function tidy(python) {
  const names = new Map();
  const rest = [];
  for (const line of python.split('\n')) {
    const [, module, imported] = /^from (\S+) import (.*)$/.exec(line) ?? [];
    if (module) names.set(module, [...(names.get(module) ?? []), ...imported.split(', ')]);
    else rest.push(line);
  }
  const imports = [...names.keys()].sort().map((module) => importLine(module, [...new Set(names.get(module))].sort()));
  return `${[...imports, rest.join('\n').trim() && '', rest.join('\n').trim()].join('\n').trim()}\n`;
}

function importLine(module, names) {
  const line = `from ${module} import ${names.join(', ')}`;
  return line.length <= 100 ? line : `from ${module} import (\n${names.map((name) => `    ${name},`).join('\n')}\n)`;
}

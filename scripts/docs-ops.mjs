// Writes docs/ops.md from the contract at the head of each native/ops/*.cpp; --check only compares.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(root, 'native', 'ops');
const names = [...readFileSync(join(folder, 'list.h'), 'utf8').matchAll(/^OP\((\w+)\)/gm)].map(
  ([, name]) => name,
);
const files = readdirSync(folder).filter((name) => name.endsWith('.cpp') && name !== 'table.cpp');

/** The comment lines before the first line of code. */
function contract(file) {
  const lines = readFileSync(join(folder, file), 'utf8').split('\n');
  const end = lines.findIndex((line) => !line.startsWith('//'));
  return lines.slice(0, end).map((line) => line.replace(/^\/\/ ?/, ''));
}

const sections = names.map((name) => {
  const file =
    files.find((candidate) => candidate === `${name}.cpp`) ??
    files.find((candidate) => contract(candidate).some((line) => line.startsWith(`${name}:`)));
  if (!file) throw new Error(`no file in native/ops begins with the contract of ${name}`);
  return `## ${name}\n\n\`native/ops/${file}\`\n\n\`\`\`\n${contract(file).join('\n')}\n\`\`\`\n`;
});

const page = `# Native ops

The contract of every op, as it stands at the head of its file. Written by \`npm run docs\`.

${sections.join('\n')}`;

const target = join(root, 'docs', 'ops.md');
if (!process.argv.includes('--check')) writeFileSync(target, page);
else if (readFileSync(target, 'utf8') !== page) {
  console.error('docs/ops.md is out of date: run "npm run docs"');
  process.exit(1);
}

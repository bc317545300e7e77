// Writes docs/config.md from the schema of lib/train/config.ts; --check only compares. Needs a build.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { configSchema, presets } from '../dist/lib/train/index.js';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [first] = Object.entries(presets);
const sizeOf = (name) => name.split('-').at(-1);
const sizes = [...new Set(Object.keys(presets).map(sizeOf))].filter((size) => size !== 'tiny');
const names = { tiny: Object.keys(presets).filter((name) => sizeOf(name) === 'tiny') };

const shown = (value) => `\`${JSON.stringify(value)}\``;
const at = (tree, path) => path.reduce((value, key) => value?.[key], tree);

function* settings(schema, path = []) {
  for (const [key, inner] of Object.entries(schema.shape)) {
    if (inner.shape) yield* settings(inner, [...path, key]);
    else yield { path: [...path, key], text: inner.description ?? '' };
  }
}

const rows = [...settings(configSchema)].map(
  ({ path, text }) =>
    `| \`${path.join('.')}\` | ${shown(at(first[1], path))} | ${shown(at(presets['dino-kp-vits16'], path))} | ${text} |`,
);

const page = `# Config

A run's settings are a preset, a YAML file on top (\`--config\`), \`key.sub=value\` arguments, and flags; the later wins. Unknown names are refused with the nearest known one. The full config is kept in the run's \`config.yaml\`.

Presets are named METHOD[-kp|-gmm]-SIZE: ${names.tiny.map((name) => `\`${name}\``).join(', ')}, and the same for the sizes ${sizes.map((name) => `\`${name}\``).join(', ')}. \`protea config show PRESET\` prints one with its source, where it departs from it, and a comment for each key. A YAML file may name its base with \`preset:\`.

| setting | \`${first[0]}\` (default) | \`dino-kp-vits16\` | meaning |
|---|---|---|---|
${rows.join('\n')}
`;

const target = join(root, 'docs', 'config.md');
if (!process.argv.includes('--check')) writeFileSync(target, page);
else if (readFileSync(target, 'utf8') !== page) {
  console.error('docs/config.md is out of date: run "npm run docs"');
  process.exit(1);
}

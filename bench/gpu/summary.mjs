// What is printed of a result: a line a part with what is wrong below it, and all of it with the table.
import { table } from './table.mjs';

const most = { width: 240, lines: 10 }; // result.json has all of it

const cut = (text, width) => (text.length > width ? `${text.slice(0, width)} ...` : text);

export const because = ({ name, why }) => `${name}: ${why.join(' / ')}`;

function mark({ ok, incomplete, skipped }) {
  if (!ok) return 'FAILED';
  if (incomplete) return 'INCOMPLETE';
  return skipped ? 'skipped' : 'ok';
}

/** Of a part, which has said: [what it did, ...what is wrong]. */
export function line(name, part) {
  const [first, ...more] = part.said ?? ['of another layout'];
  const shown = more
    .slice(0, most.lines)
    .map((text) => cut(text.replaceAll('\n', ' / '), most.width));
  if (more.length > shown.length) shown.push(`and ${more.length - shown.length} more`);
  return [`${mark(part).padEnd(10)} ${name}: ${first}`, ...shown].join('\n           ');
}

export function head({ build, card, parts }) {
  const driver = [card.nvidia, `CUDA ${card.driver}`].filter(Boolean).join(', ');
  const products = parts.ops?.native?.products ?? parts.bench?.products ?? card.products;
  return [
    `Protea ${build.version} (${build.commit}) on ${card.name}, driver ${driver}`,
    ...(products ? [`matrix products: ${products}`] : []),
    ...(parts.bench?.torch ? [`PyTorch ${parts.bench.torch}`] : []),
  ].join('\n');
}

export function whole(result) {
  const lines = Object.entries(result.parts).map(([name, part]) => line(name, part));
  return [head(result), table(result.parts), lines.join('\n')].filter(Boolean).join('\n\n');
}

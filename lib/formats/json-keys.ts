/**
 * The first key that an object of a JSON text has twice, or undefined. JSON.parse keeps the last of
 * them and says nothing, so two readers may see two different files. `text` must be valid JSON.
 */
export function duplicateKey(text: string): string | undefined {
  const objects: (Set<string> | null)[] = []; // null: a list
  let begin = 0;
  let end = 0; // of the last text in quotes
  for (let at = 0; at < text.length; at++) {
    const sign = text[at];
    if (sign === '"') {
      [begin, end] = [at, quoteEnd(text, at)];
      at = end - 1;
    } else if (sign === '{' || sign === '[') objects.push(sign === '{' ? new Set() : null);
    else if (sign === '}' || sign === ']') objects.pop();
    else if (sign === ':') {
      const key = JSON.parse(text.slice(begin, end)) as string;
      const keys = objects.at(-1)!;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}

/** Behind the closing quote of the text that opens at `begin`. */
function quoteEnd(text: string, begin: number): number {
  let at = begin + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

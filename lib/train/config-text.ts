import { Document, isMap, isScalar, type Pair, type YAMLMap } from 'yaml';
import { z } from 'zod';
import { configSchema, type TrainConfig } from './config.js';
import type { PresetNotes } from './presets/index.js';

type Shape = Record<string, z.ZodType>;

const shapeOf = (schema: z.ZodType | undefined): Shape =>
  schema instanceof z.ZodObject ? (schema.shape as Shape) : {};

/** Puts each key's description behind its value; lists stay on one line. */
function comment(map: YAMLMap, shape: Shape): void {
  for (const pair of map.items as Pair<unknown, unknown>[]) {
    const schema = shape[isScalar(pair.key) ? String(pair.key.value) : String(pair.key)];
    const { value } = pair;
    if (isMap(value)) comment(value, shapeOf(schema));
    else if (value && typeof value === 'object') {
      if ('flow' in value) value.flow = true;
      if (schema?.description) Object.assign(value, { comment: ` ${schema.description}` });
    }
  }
}

const heading = (name: string, { source, departures }: PresetNotes): string =>
  [` ${name}`, ` Source: ${source}`, ...departures.map((line) => ` Departs: ${line}`)].join('\n');

/** A config as YAML with a comment for each key, under the notes of its preset if it is one. */
export function commentedConfig(config: TrainConfig, name = '', notes?: PresetNotes): string {
  const document = new Document(config);
  if (isMap(document.contents)) comment(document.contents, shapeOf(configSchema));
  if (notes) document.commentBefore = heading(name, notes);
  return document.toString({ lineWidth: 0 });
}

/** The JSON schema of a run's config. */
export const configJsonSchema = (): object => z.toJSONSchema(configSchema);

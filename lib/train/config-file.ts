import { readFile } from 'node:fs/promises';
import { LineCounter, parseDocument, stringify } from 'yaml';
import { z } from 'zod';
import { invalid, ProteaError } from '../error.js';
import { checkConfig } from './check-config.js';
import { configSchema, type TrainConfig } from './config.js';
import { merged, type Tree } from './merged.js';
import { nearest } from './nearest.js';
import { presets } from './presets/index.js';

/** Where a setting came from, for errors. */
type Locate = (path: readonly PropertyKey[]) => string;

/** The names a section may hold. */
function namesAt(path: readonly PropertyKey[]): string[] {
  let schema: unknown = configSchema;
  for (const part of path) {
    if (!(schema instanceof z.ZodObject)) return [];
    schema = schema.shape[String(part)];
  }
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

function explain(issue: z.core.$ZodIssue, locate: Locate): string {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys
      .map((key) => {
        const path = [...issue.path, key];
        const known = namesAt(issue.path);
        const like = nearest(key, known);
        const help = like ? `did you mean "${like}"?` : `known: ${known.join(', ')}`;
        return `${locate(path)}unknown setting "${path.join('.')}"; ${help}`;
      })
      .join('\n');
  }
  return `${locate(issue.path)}${issue.path.join('.')}: ${issue.message}`;
}

/** @throws ERR_PROTEA_CONFIG with every problem, its place and, for unknown names, the nearest one */
function checked(tree: Tree, locate: Locate): TrainConfig {
  const parsed = configSchema.safeParse(tree);
  if (parsed.success) {
    checkConfig(parsed.data);
    return parsed.data;
  }
  const problems = parsed.error.issues.map((issue) => explain(issue, locate));
  throw new ProteaError('ERR_PROTEA_CONFIG', problems.join('\n'), {
    hint: 'docs/config.md lists every setting.',
  });
}

interface ConfigFile {
  tree: Tree;
  locate: Locate;
}

async function readYaml(path: string): Promise<ConfigFile> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new ProteaError('ERR_PROTEA_CONFIG', `${path}: ${(cause as Error).message}`, { cause });
  });
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const broken = document.errors[0];
  if (broken) throw new ProteaError('ERR_PROTEA_CONFIG', `${path}: ${broken.message}`);
  const locate: Locate = (keys) => {
    for (let depth = keys.length; depth > 0; depth--) {
      const node = document.getIn(keys.slice(0, depth), true) as { range?: [number] } | undefined;
      if (node?.range) return `${path}:${lines.linePos(node.range[0]).line}: `;
    }
    return '';
  };
  return { tree: (document.toJS() as Tree | null) ?? {}, locate };
}

/** "loss.koleoProto=0.2" as a tree; the value is read as YAML. */
function override(text: string): Tree {
  const at = text.indexOf('=');
  if (at < 1) throw invalid('override', 'key.sub=value', text);
  const value: unknown = parseDocument(text.slice(at + 1)).toJS();
  return text
    .slice(0, at)
    .split('.')
    .reduceRight((inner, key) => ({ [key]: inner }) as Tree, value as Tree);
}

export interface ConfigSources {
  /** @default 'dino-kp-tiny' */
  preset?: string | undefined;
  /** Path of a YAML file; its "preset" key, if any, names the base. */
  file?: string | undefined;
  /** "key.sub=value", applied in order. */
  overrides?: readonly string[] | undefined;
}

/** @throws ERR_PROTEA_CONFIG naming the nearest preset when there is none of that name */
export function presetNamed(name: string): TrainConfig {
  const found = presets[name];
  if (found) return found;
  const known = Object.keys(presets);
  const like = nearest(name, known);
  throw new ProteaError('ERR_PROTEA_CONFIG', `There is no preset "${name}"`, {
    hint: like ? `Did you mean "${like}"?` : `Known: ${known.join(', ')}`,
  });
}

const defaultPreset = 'dino-kp-tiny';

/** The name of the preset that a config begins with: as asked, as its file says, or the default one. */
export async function presetOf({ preset, file }: ConfigSources): Promise<string> {
  if (preset !== undefined) return preset;
  const named = file ? (await readYaml(file)).tree.preset : undefined;
  return named === undefined ? defaultPreset : String(named);
}

/** Other images are not judged by the test images of those before: without a test of their own they have none. */
function withItsTest(settings: Tree): Tree {
  const data = settings.data as Tree | undefined;
  if (!data || typeof data !== 'object' || !('source' in data) || 'test' in data) return settings;
  return { ...settings, data: { ...data, test: null } };
}

/** A full config: preset, then file, then overrides. */
export async function loadConfig(sources: ConfigSources = {}): Promise<TrainConfig> {
  const file = sources.file ? await readYaml(sources.file) : undefined;
  const { preset, ...settings } = file?.tree ?? {};
  const base = presetNamed(sources.preset ?? (preset as string | undefined) ?? defaultPreset);
  const overrides = (sources.overrides ?? []).map(override).reduce<Tree>(merged, {});
  const ofFile = merged(base as unknown as Tree, withItsTest(settings));
  const tree = merged(ofFile, withItsTest(overrides));
  return checked(tree, file?.locate ?? (() => ''));
}

/** The config as YAML, as it is kept in a run's folder. */
export const configText = (config: TrainConfig): string => stringify(config);

/** Reads a run's config.yaml, which holds every setting. */
export async function readRunConfig(path: string): Promise<TrainConfig> {
  const { tree, locate } = await readYaml(path);
  return checked(tree, locate);
}

import type { Command } from 'commander';
import {
  commentedConfig,
  configJsonSchema,
  loadConfig,
  presetNotes,
  presetOf,
  presets,
} from '../train/index.js';
import { exitCode, type Output, run } from './output.js';

interface ShowFlags {
  config?: string;
  json?: boolean;
}

/** A first word with "=" is a setting, not a preset. */
async function show(words: readonly string[], flags: ShowFlags, out: Output): Promise<number> {
  const [first] = words;
  const named = first !== undefined && !first.includes('=') ? first : undefined;
  const sources = { preset: named, file: flags.config };
  const preset = await presetOf(sources);
  const config = await loadConfig({ ...sources, overrides: words.slice(named ? 1 : 0) });
  out.emit(config);
  out.result(commentedConfig(config, preset, presetNotes[preset]).trimEnd());
  return exitCode.ok;
}

export function addConfig(program: Command): void {
  const config = program.command('config').description('look at settings');
  config
    .command('show')
    .description('print a preset with a comment for each key, its source and where it departs')
    .argument(
      '[words...]',
      'a preset (default: that of --config, or dino-kp-tiny), then settings as key.sub=value',
    )
    .option('--config <file>', 'YAML on top of the preset')
    .option('--json', 'one JSON document on stdout')
    .addHelpText('after', '\nExample:\n  protea config show ibot-vmf-kp-vits16')
    .action((words: string[], flags: ShowFlags) =>
      run(flags.json ?? false, (out) => show(words, flags, out)),
    );
  config
    .command('schema')
    .description('print the JSON schema of all settings')
    .action(() =>
      run(false, async (out) => {
        out.result(JSON.stringify(configJsonSchema(), null, 2));
        return exitCode.ok;
      }),
    );
  config
    .command('presets')
    .description('list the presets, one a line')
    .action(() =>
      run(false, async (out) => {
        out.result(Object.keys(presets).join('\n'));
        return exitCode.ok;
      }),
    );
}

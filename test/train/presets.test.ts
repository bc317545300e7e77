import test from 'ava';
import { parse } from 'yaml';
import { methodNames, methodParameters, recipes } from '../../lib/ssl/index.js';
import {
  checkConfig,
  commentedConfig,
  configJsonSchema,
  configSchema,
  methodConfigOf,
  policyOf,
  presetNotes,
  presets,
} from '../../lib/train/index.js';

test('every method has a preset with and without its variants, at every size', (t) => {
  for (const method of methodNames)
    for (const size of ['tiny', 'vitti16', 'vits16', 'vitb16'])
      for (const variant of ['', '-kp', ...(method === 'capi' ? [] : ['-gmm'])])
        t.is(presets[`${method}${variant}-${size}`]?.method, method);
  t.is(Object.keys(presets)[0], 'dino-kp-tiny', 'the default stands first');
});

for (const [name, config] of Object.entries(presets))
  test(`${name} fits together and says where it is from`, (t) => {
    t.notThrows(() => checkConfig(configSchema.parse(config)));
    const { source, departures } = presetNotes[name]!;
    t.true(source.length > 20 && departures.length > 0);
    t.notThrows(() => methodParameters(methodConfigOf(config)));
    t.is(config.mask.kind !== 'none', recipes[config.method].masks);
    t.is(config.loss.koleoProto > 0, name.includes('-kp-'));
    t.is(config.head.learning === 'mixture', name.includes('-gmm-'));
  });

test('a shown preset is YAML of the same settings, with a comment for every key', (t) => {
  const name = 'ibot-vmf-kp-vits16';
  const text = commentedConfig(presets[name]!, name, presetNotes[name]);
  t.deepEqual(parse(text), presets[name]);
  t.regex(text, /^# ibot-vmf-kp-vits16\n# Source: Govindarajan/);
  t.regex(text, /^# Departs: /m);
  for (const line of text.split('\n').filter((l) => /^\s+\w+: \S/.test(l))) t.regex(line, / # \S/);
});

test('the JSON schema names every section and forbids others', (t) => {
  const schema = configJsonSchema() as {
    properties: Record<string, object>;
    additionalProperties: boolean;
  };
  t.deepEqual(Object.keys(schema.properties), Object.keys(configSchema.shape));
  t.false(schema.additionalProperties);
});

test('rates and decay are those of the reference', (t) => {
  const dinov2 = presets['dinov2-vits16']!;
  const of = (name: string, shape: number[]) => policyOf(dinov2, name, shape);
  t.is(of('head.last_layer.weight_g', [8, 1]).weightDecay, 1);
  t.is(of('backbone.norm.weight', [8]).weightDecay, 0);
  t.is(of('backbone.pos_embed', [1, 197, 384]).lr, 0.9 ** 13);
  t.is(of('backbone.patch_embed.proj.weight', [8, 3, 16, 16]).lr, 0.9 ** 13 * 0.2);
  t.is(of('backbone.blocks.11.attn.qkv.weight', [8, 8]).lr, 0.9);
  t.is(of('head.mlp.0.weight', [8, 8]).lr, 1);
  const dino = policyOf(presets['dino-vits16']!, 'backbone.pos_embed', [1, 197, 384]);
  t.deepEqual(dino, { lr: 1, weightDecay: 1, clipped: true });
  const msn = policyOf(presets['msn-vits16']!, 'head.prototypes', [1024, 256]);
  t.deepEqual(msn, { lr: 1, weightDecay: 0, clipped: false });
});

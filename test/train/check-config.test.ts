// Bad settings are refused before any data is opened, with what to change.
import test from 'ava';
import { loadConfig } from '../../lib/train/index.js';

const cases: [preset: string, overrides: string[], problem: RegExp, remedy: RegExp][] = [
  ['dino-tiny', ['head.prototypes=1'], /head\.prototypes: one prototype/, /./],
  ['dino-tiny', ['optim.batch=1'], /optim\.batch: one image has no other/, /./],
  ['dino-tiny', ['loss.koleo=0.1', 'optim.batch=1'], /give 2 or more/, /./],
  ['dino-tiny', ['loss.studentTemperature=0'], /a temperature must be above 0/, /./],
  ['dino-tiny', ['loss.teacherTemperature=0'], /a temperature must be above 0/, /./],
  ['dino-tiny', ['crops.global=1'], /needs 2 global crops/, /crops\.global to 2/],
  ['capi-tiny', ['crops.global=2'], /needs 1 global crops/, /crops\.global to 1/],
  ['capi-tiny', ['crops.local=2'], /no use of local crops/, /crops\.local to 0/],
  ['msn-tiny', ['crops.local=0'], /learns from local crops/, /crops\.local to 1/],
  ['dino-tiny', ['crops.localSize=32'], /not told apart/, /crops\.localSize smaller/],
  ['dino-tiny', ['crops.localSize=3'], /no whole patch/, /crops\.localSize/],
  ['dino-tiny', ['crops.local=0', 'crops.globalSize=3'], /no whole patch/, /crops\.globalSize/],
  ['dino-tiny', ['mask.kind=block'], /dino has no masked patches/, /mask\.kind to none/],
  ['ibot-tiny', ['mask.kind=none'], /needs masked patches/, /mask\.kind to block/],
  ['ibot-tiny', ['mask.probability=0'], /No patch is ever masked/, /mask\.probability/],
  ['ibot-tiny', ['mask.ratio=[0.5, 0.1]'], /runs from 0.5 to 0.1/, /smaller number first/],
  ['ibot-tiny', ['model.predictorDepth=2'], /ibot has no predictor/, /predictorDepth to 0/],
  ['capi-tiny', ['mask.ratio=[0.5,0.7]'], /show as many patches/, /twice the same number/],
  ['capi-tiny', ['mask.probability=0.5'], /must have some/, /mask\.probability to 1/],
  ['ibot-tiny', ['model.patchSize=16'], /grid of 4 x 4 .* has 2 x 2/, /model\.patchSize/],
  ['dino-tiny', ['mask.dropped=0.2'], /dino drops no patches/, /mask\.dropped to 0/],
  ['msn-tiny', ['mask.dropped=1'], /Every patch is dropped/, /Lower mask\.dropped/],
  ['dino-vmf-tiny', ['head.normLastLayer=true'], /needs magnitudes/, /normLastLayer to false/],
  ['dino-vmf-tiny', ['head.layer=linear'], /does not go with head\.layer/, /weight-norm/],
  ['dino-vmf-tiny', ['head.vmf=false'], /without von Mises-Fisher/, /head\.vmf to true/],
  [
    'dino-tiny',
    ['head.layers=0', 'head.bottleneckDim=32'],
    /backbone's width 64, not 32/,
    /bottleneckDim to 64/,
  ],
  ['dino-gmm-tiny', ['loss.koleoProto=0.1'], /KoLeo-proto cannot move/, /koleoProto to 0/],
  ['dino-gmm-tiny', ['head.layer=linear'], /lengths that say nothing/, /weight-norm/],
  ['msn-tiny', ['head.learning=clustering'], /both networks share/, /head\.layer/],
  ['capi-tiny', ['head.learning=gradient'], /the teacher learns by itself/, /clustering/],
  ['capi-tiny', ['loss.targets=none'], /place by place/, /targets to sinkhorn/],
  ['capi-tiny', ['loss.meMax=1'], /capi has one/, /meMax to 0/],
  ['dino-tiny', ['loss.cls=0', 'loss.koleo=0'], /All losses have weight 0/, /loss\.cls/],
];

for (const [preset, overrides, problem, remedy] of cases)
  test(`${preset} with ${overrides.join(' ')} is refused`, async (t) => {
    const error = await t.throwsAsync(loadConfig({ preset, overrides }), {
      code: 'ERR_PROTEA_CONFIG',
      message: problem,
    });
    t.regex(String((error as { hint?: string }).hint ?? ''), remedy);
  });

// Op name of index.json -> the code that computes its outputs and gradients. One file per group.
import type { Handler } from '../case.js';
import * as checkpoint from './checkpoint.js';
import * as diagnosis from './diagnosis.js';
import * as evaluation from './eval.js';
import * as gmm from './gmm.js';
import * as heads from './heads.js';
import * as ibot from './ibot.js';
import * as images from './images.js';
import * as layers from './layers.js';
import * as losses from './losses.js';
import * as msn from './msn.js';
import * as optim from './optim.js';
import * as targets from './targets.js';
import * as vit from './vit.js';
import * as vmf from './vmf.js';

export const handlers: Record<string, Handler> = {
  linear: layers.linear,
  layer_norm: layers.layerNorm,
  gelu: layers.gelu,
  softmax: layers.softmax,
  soft_cross_entropy: layers.softCrossEntropy,
  attention: layers.attention,
  mha: layers.mha,
  mlp: layers.mlp,
  l2_normalize: layers.l2Normalize,
  patch_embed: layers.patchEmbed,
  interpolate: layers.interpolate,
  drop_path: layers.dropPath,
  layer_scale: layers.layerScale,
  vit_dino: vit.vitDino,
  vit_dinov2: vit.vitDinov2,
  dino_head: heads.head,
  dinov2_head: heads.head,
  weight_norm: heads.weightNormed,
  koleo: losses.koleo,
  koleo_proto: losses.koleoProto,
  dino_loss: losses.dino,
  sinkhorn: targets.sinkhorn,
  prob_centering: targets.probCentering,
  me_max: targets.meMax,
  msn_loss: msn.msn,
  dinov2_dino_loss_softmax: targets.dinov2Softmax,
  dinov2_dino_loss_sinkhorn: targets.dinov2Sinkhorn,
  dinov2_dino_total: ibot.dinov2Total,
  ibot_patch_loss: ibot.patchFull,
  ibot_patch_loss_masked: ibot.patchMasked,
  ibot_official: ibot.ibotOfficial,
  gmm_online: gmm.gmm,
  vmf_log_normalizer: vmf.logNormalizer,
  vmf_logits: vmf.logits,
  adamw: optim.adamw,
  ema: optim.ema,
  schedule: optim.schedule,
  teacher_temp_schedule: optim.teacherTemperature,
  param_groups: optim.parameterGroups,
  train_steps: optim.trainSteps,
  proto_collapse: diagnosis.collapse,
  knn: diagnosis.knn,
  logreg: evaluation.logreg,
  linear_probe_sgd: evaluation.linearProbe,
  cluster_metrics: evaluation.clusterMetrics,
  kmeans: evaluation.kmeans,
  longtail_accuracy: evaluation.longTail,
  checkpoint: checkpoint.checkpoint,
  checkpoint_dtypes: checkpoint.dtypes,
  hostile_checkpoint: checkpoint.hostile,
  image_pil: images.pil,
  image_tensor: images.floating,
};

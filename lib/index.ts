/**
 * Protea: pretrain DINO-family vision models, and keep every prototype in use.
 * Training: `Trainer`, `loadConfig`. Diagnosis: `diagnose`, `diagnoseCheckpoint`. Parts: heads, losses,
 * regularizers, ops.
 */
export * from './bench/index.js';
export * from './compare/index.js';
export * from './data/index.js';
export * from './diagnose/index.js';
export { type ErrorCode, ProteaError } from './error.js';
export * from './eval/index.js';
export { encodeNpy, NpyFile } from './formats/npy.js';
export { SafetensorsFile } from './formats/safetensors.js';
export { openTensorFile, type TensorFile } from './formats/tensor-file.js';
export * from './inspect/index.js';
export * from './lab/index.js';
export {
  AdamW,
  cosine,
  initialise,
  isDecayed,
  layerwiseMultipliers,
  type Parameters,
  rampThenConstant,
  type Schedule,
  VisionTransformer,
  type ViTConfig,
  type ViTSize,
  vitConfig,
  vitParameters,
  vitSizes,
} from './nn/index.js';
export * from './ssl/index.js';
export * from './tensor/index.js';
export * from './train/index.js';

export * from './heads/prototype-head.js';
export * from './losses/dino.js';
export * from './methods/dino.js';
export * from './regularizers/koleo.js';
export * from './regularizers/koleo-proto.js';
export * from './targets/logit-centering.js';

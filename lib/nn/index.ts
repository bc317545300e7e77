export * from './adamw.js';
export * from './parameter-groups.js';
export * from './parameters.js';
export * from './random-stream.js';
export * from './schedules.js';
export * from './vision-transformer.js';
export * from './vit-config.js';
export * from './vit-parameters.js';

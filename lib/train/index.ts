export * from './checkpoint.js';
export * from './config.js';
export * from './config-file.js';
export * from './events.js';
export * from './model.js';
export * from './presets.js';
export * from './trainer.js';

export * from './arithmetic.js';
export * from './images.js';
export * from './layers.js';
export * from './mixture.js';
export * from './optimiser.js';
export * from './prototypes.js';
export * from './tokens.js';

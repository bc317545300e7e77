export * from './compare.js';
export * from './experiments.js';
export * from './methods.js';
export * from './runs.js';
export { type SeedSpread, spreadOver, spreadText } from './statistics.js';
export * from './summary.js';

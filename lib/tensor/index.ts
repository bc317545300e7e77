export * from './gradient.js';
export * from './ops.js';
export * from './scope.js';
export * from './tensor.js';

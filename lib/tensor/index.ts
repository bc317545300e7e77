export { type Attribute, call } from './call.js';
export * from './device.js';
export * from './gradient.js';
export * from './ops/index.js';
export * from './scope.js';
export * from './tensor.js';

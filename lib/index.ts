export { type ErrorCode, ProteaError } from './error.js';
export * from './tensor/index.js';

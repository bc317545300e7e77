export * from './mlcd.js';
export * from './unique.js';
export * from './verdict.js';

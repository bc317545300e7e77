export * from './bench.js';
export * from './peer.js';

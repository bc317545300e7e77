export * from './backbone.js';
export * from './checkpoint.js';
export * from './features.js';
export * from './images.js';
export * from './network.js';
export * from './page.js';

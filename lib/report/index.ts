export * from './bars.js';
export * from './chart.js';
export * from './diagnosis-page.js';
export * from './dots.js';
export * from './page.js';
export * from './prototype-map.js';
export * from './redundancy-map.js';

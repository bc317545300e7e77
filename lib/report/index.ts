export * from './chart.js';
export * from './page.js';
export * from './prototype-map.js';

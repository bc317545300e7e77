export * from './chart.js';
export * from './page.js';

export * from './experiment.js';
export * from './lab.js';
export * from './lab-report.js';
export * from './setting.js';

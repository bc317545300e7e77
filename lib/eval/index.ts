export * from './features.js';
export * from './knn.js';
export * from './knn-data.js';

export * from './clusters.js';
export * from './features.js';
export * from './kmeans.js';
export * from './knn.js';
export * from './knn-data.js';
export * from './linear-probe.js';
export * from './logistic-regression.js';
export * from './long-tail.js';

/** Ops whose handlers compute in double, which a GPU does not. */
export const inDouble = new Set(['sinkhorn', 'vmf_log_normalizer', 'vmf_logits', 'logreg']);

#pragma once
#include "prototype_rows.cuh"

namespace protea::gpu {

// Products of all rows and prototypes (rows, K), kept for several sums over them. While they fit
// the card's second cache, reading them is cheaper than making them again, and no other memory is
// touched.
struct KeptProducts {
  const float* data;  // null: not kept
  int64_t rows, K;
  float scale;
};

// Makes them in `slot` of working memory, if they fit.
KeptProducts keep_products(Gpu& gpu, int slot, const Logits& logits);

// The softmax of every row over parts of `part` prototypes: partial (parts, rows). bias (K) or
// null.
void row_parts(Gpu& gpu, const KeptProducts& kept, const float* bias, int64_t part,
               Running* partial);
// The softmax of every prototype over all rows: partial (1, K). bias (rows) or null.
void column_parts(Gpu& gpu, const KeptProducts& kept, const float* bias, Running* partial);

}  // namespace protea::gpu

#pragma once
// Attention on tensor cores, with operands in bf16.
#include "attention.cuh"

namespace protea::gpu {

// What backward needs: delta (B, heads, N) = Σ_d dy y.
struct Saved {
  const float *qkv, *lse, *delta, *dy;
};

// For bf16, heads of up to 128 numbers, a multiple of four: tokens are read and written in whole
// float4s. And for a card whose blocks have shared memory enough.
bool flash_attention_fits(const Gpu& gpu, const AttentionShape& s);

void flash_attention(Gpu& gpu, const AttentionShape& s, const float* qkv, float* y, float* lse);
void flash_attention_back(Gpu& gpu, const AttentionShape& s, const Saved& saved, float* dqkv,
                          bool accumulate);

}  // namespace protea::gpu

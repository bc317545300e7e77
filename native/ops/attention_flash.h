#pragma once
// Attention on tensor cores, with operands in bf16.
#include "attention.cuh"

namespace protea::gpu {

// What backward needs: delta (B, heads, N) = Σ_d dy y.
template <class S>
struct SavedAs {
  const S* qkv;
  const float *lse, *delta;
  const S* dy;
};
using Saved = SavedAs<float>;

// For bf16, heads of up to 128 numbers, a multiple of four: tokens are read and written by fours.
// And for a card whose blocks have shared memory enough.
bool flash_attention_fits(const Gpu& gpu, const AttentionShape& s);

// Tokens stored as S: float or bf16.
template <class S>
void flash_attention(Gpu& gpu, const AttentionShape& s, const S* qkv, S* y, float* lse);
template <class S>
void flash_attention_back(Gpu& gpu, const AttentionShape& s, const SavedAs<S>& saved, S* dqkv,
                          bool accumulate);

}  // namespace protea::gpu

#pragma once
// The most similar other row of every row: over tiles of the upper triangle, each for its rows and
// its columns. Nothing of size rows x rows is kept.
#include "directions.cuh"

namespace protea::gpu {

// A similarity and the row it belongs to as one number: the larger similarity wins, then the lower
// row. The maximum of such numbers does not depend on the order it is taken in.
typedef unsigned long long Candidate;

// Numbers whose order is that of the floats; 0 is below all.
GPU_DEVICE unsigned ordered(float x) {
  unsigned bits = __float_as_uint(x);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
GPU_DEVICE float unordered(unsigned key) {
  return __uint_as_float(key & 0x80000000u ? key ^ 0x80000000u : ~key);
}

// Directions more similar than this are copies of each other, all equally near.
constexpr float copies = 1 - 0x1p-22f;

GPU_DEVICE Candidate candidate(float similarity, int64_t row) {
  if (similarity != similarity) return 0;  // a NaN is similar to none
  Candidate rank = ordered(fminf(similarity, copies));
  return rank << 32 | (0xffffffffu - static_cast<unsigned>(row));
}

// How far the product of two directions of `depth` numbers, rounded to f16 and summed up by tensor
// cores, may be from theirs in f32: each number is off by 2^-11 of itself, or 2^-25; each sum by
// less than 2^-23 of its size. PTX leaves the rounding of these sums open: cards of 8.0 to 9.0 cut
// them off behind 24 bits or more and keep numbers below 2^-14 (Fasi et al. 2021,
// doi:10.7717/peerj-cs.330), which is half of what is allowed here. A test measures it on the card
// at hand.
constexpr double rough_error(int64_t depth) {
  return 0x1.01p-10 + static_cast<double>(depth) * 0x1p-22;
}

// The row found for row `of`. One that is not finite is similar to none: any other row will do, the
// NaN goes on in its distance.
GPU_DEVICE int64_t row_of(Candidate found, int64_t of) {
  if (!found) return of == 0 ? 1 : 0;
  return static_cast<int64_t>(0xffffffffu - static_cast<unsigned>(found));
}

// best (rows) = the candidate of every row of u. Uses inner slots of working memory.
void search_nearest(Gpu& gpu, const Directions& u, Candidate* best);

}  // namespace protea::gpu

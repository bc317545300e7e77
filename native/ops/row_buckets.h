#pragma once
// Rows sorted into buckets.
#include <cstdint>
#include <span>
#include <vector>

namespace protea {

// The rows 0 ... K - 1 bucket by bucket, in index order within each.
struct RowBuckets {
  std::vector<int64_t> begin;  // of each bucket in rows, and the end of the last
  std::vector<int32_t> rows;

  // bucket(k) in [0, count) is that of row k.
  template <class Bucket>
  RowBuckets(int64_t K, int64_t count, Bucket&& bucket) : begin(count + 1), rows(K) {
    for (int64_t k = 0; k < K; k++) begin[bucket(k) + 1]++;
    for (int64_t b = 0; b < count; b++) begin[b + 1] += begin[b];
    std::vector<int64_t> next(begin.begin(), begin.end() - 1);
    for (int64_t k = 0; k < K; k++) rows[next[bucket(k)]++] = static_cast<int32_t>(k);
  }

  int64_t count() const { return static_cast<int64_t>(begin.size()) - 1; }
  int64_t size(int64_t b) const { return begin[b + 1] - begin[b]; }
  std::span<const int32_t> operator[](int64_t b) const {
    return {rows.data() + begin[b], static_cast<size_t>(size(b))};
  }
};

}  // namespace protea

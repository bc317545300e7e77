#include "column_sums.h"

#include "../core/ceil_div.h"
#include "../core/parallel.h"
#include "../core/scratch.h"
#include "elementwise.h"

namespace protea {
namespace {

constexpr int64_t block = 128;  // rows that are added one after another
constexpr int column_sums_slot = 10;

}  // namespace

template <class T>
void column_sums(int64_t rows, int64_t columns, const T* x, int64_t stride, T* sum,
                 bool accumulate) {
  int64_t blocks = ceil_div(rows, block);
  T* partial = scratch<T>(column_sums_slot, blocks * columns);
  const Elementwise<T>& kernel = elementwise<T>();
  parallel_for(blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; b++) {
      int64_t count = b + 1 < blocks ? block : rows - b * block;
      kernel.add_rows(count, columns, x + b * block * stride, stride, partial + b * columns, false);
    }
  });
  kernel.add_rows(blocks, columns, partial, columns, sum, accumulate);
}

template void column_sums<float>(int64_t, int64_t, const float*, int64_t, float*, bool);
template void column_sums<double>(int64_t, int64_t, const double*, int64_t, double*, bool);

}  // namespace protea

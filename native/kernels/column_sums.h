#pragma once
#include <cstdint>

namespace protea {

// sum[j] = or += sum over i < rows of x[i * stride + j], j < columns. Rows are added in blocks, in
// an order that does not depend on the number of threads.
template <class T>
void column_sums(int64_t rows, int64_t columns, const T* x, int64_t stride, T* sum,
                 bool accumulate);

extern template void column_sums<float>(int64_t, int64_t, const float*, int64_t, float*, bool);
extern template void column_sums<double>(int64_t, int64_t, const double*, int64_t, double*, bool);

}  // namespace protea

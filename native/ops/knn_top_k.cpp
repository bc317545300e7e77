// knn_top_k: for each test row the k train rows of largest inner product, largest first
//   test (N, D), train (M, D), attrs k <= M -> values (N, k), indices (N, k) i32
//   no gradient; ties go to the lowest index. Products are taken by tiles: nothing of size N x M.
#include <algorithm>
#include <vector>

#include "../core/op.h"
#include "../core/parallel.h"
#include "../core/scratch.h"
#include "../kernels/gemm.h"

namespace protea {

Outputs knn_top_k_infer(std::span<const Tensor> in, const Attrs& attrs) {
  check(in.size() == 2, Code::Shape, "[knn_top_k] takes test and train, got ", in.size());
  const Tensor &test = in[0], &train = in[1];
  check(test.rank() == 2 && train.rank() == 2 && test.dim(1) == train.dim(1), Code::Shape,
        "[knn_top_k] test and train must be (N, D) and (M, D), got ", test.shape, " and ",
        train.shape);
  check(is_floating(test.dtype) && test.dtype == train.dtype, Code::Dtype,
        "[knn_top_k] test and train must both be f32 or f64");
  int64_t k = attrs.integer("k");
  check(k >= 1 && k <= train.dim(0), Code::Shape, "[knn_top_k] k must be in [1, ", train.dim(0),
        "], got ", k);
  Shape shape{test.dim(0), k};
  return {{{shape, test.dtype}, {shape, Dtype::I32}}, 2};
}

namespace {

constexpr int64_t tile_rows = 64, tile_columns = 1024;

template <class T>
struct Neighbour {
  T value;
  int32_t index;

  bool operator<(const Neighbour& other) const {  // "is nearer than": sorts nearest first
    return value != other.value ? value > other.value : index < other.index;
  }
};

// The k nearest so far as a heap whose front is the farthest of them.
template <class T>
void offer(std::vector<Neighbour<T>>& heap, int64_t k, Neighbour<T> candidate) {
  if (static_cast<int64_t>(heap.size()) == k) {
    if (!(candidate < heap.front())) return;
    std::pop_heap(heap.begin(), heap.end());
    heap.pop_back();
  }
  heap.push_back(candidate);
  std::push_heap(heap.begin(), heap.end());
}

template <class T>
void search(const Run& run, int64_t row, int64_t n) {
  const Array &test = run.in[0], &train = run.in[1];
  int64_t D = test.dim(1), M = train.dim(0), k = run.attrs.integer("k");
  T* tile = scratch<T>(0, tile_rows * tile_columns);
  std::vector<std::vector<Neighbour<T>>> heaps(n);
  for (int64_t column = 0; column < M; column += tile_columns) {
    int64_t m = std::min(tile_columns, M - column);
    gemm<T>(n, m, D, {test.as<T>() + row * D, D}, {train.as<T>() + column * D, D, true}, tile,
            tile_columns, false);
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = 0; j < m; j++)
        offer(heaps[i], k, {tile[i * tile_columns + j], static_cast<int32_t>(column + j)});
  }
  for (int64_t i = 0; i < n; i++) {
    std::sort_heap(heaps[i].begin(), heaps[i].end());
    for (int64_t j = 0; j < k; j++) {
      run.out[0].as<T>()[(row + i) * k + j] = heaps[i][j].value;
      run.out[1].as<int32_t>()[(row + i) * k + j] = heaps[i][j].index;
    }
  }
}

void forward(const Run& run) {
  with_floating(run.in[0].dtype, [&]<class T>() {
    parallel_for(run.in[0].dim(0), tile_rows,
                 [&](int64_t begin, int64_t end) { search<T>(run, begin, end - begin); });
  });
}

}  // namespace

extern const Kernel knn_top_k_cpu = {forward, nullptr};

}  // namespace protea

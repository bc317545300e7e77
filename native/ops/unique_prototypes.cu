#include <cfloat>
#include <climits>

#include "../cuda/directions.cuh"
#include "../cuda/products.cuh"

namespace protea {
namespace {

using gpu::Directions;
using gpu::Listed;
using gpu::Tile;
using gpu::tile_rows;
using gpu::View;

constexpr int32_t nobody = INT_MAX;

struct Nearness {
  Directions u;
  View w;
  const double* inverse_norm;
  double doubt, epsilon;

  // Is 1 - <u_i, u_j> < epsilon? `similarity` is a rounded product that mostly settles it; the rest
  // is decided from the numbers as given.
  GPU_DEVICE bool operator()(int64_t i, int64_t j, float similarity) const {
    double margin = similarity - (1 - epsilon);
    if (fabs(margin) > doubt) return margin > 0;
    double product = 0;
    for (int64_t p = 0; p < w.depth; p++) product += static_cast<double>(w.at(i, p)) * w.at(j, p);
    return 1 - product * inverse_norm[i] * inverse_norm[j] < epsilon;
  }
};

// Leaders so far, in order.
struct Leaders {
  int32_t *list, *count;
};

// Rows row ... row + 63 against 64 leaders a block: each row keeps the first leader that is near.
__global__ void __launch_bounds__(gpu::tile_threads)
    join_kernel(Nearness near, int64_t row, Leaders leaders, int32_t* leader) {
  GPU_SHARED(float, left, [gpu::operand_size<float>()]);
  GPU_SHARED(float, right, [gpu::operand_size<float>()]);
  int64_t count = *leaders.count, first = static_cast<int64_t>(blockIdx.x) * tile_rows;
  if (first >= count) return;
  Listed<Directions> led{near.u, leaders.list, count, near.u.depth};
  Tile<float, 4, 4> product;
  gpu::multiply_rows(product, near.u, row, led, first, left, right);
  product.each([&](int i, int j, float s) {
    if (row + i >= near.u.rows || first + j >= count) return;
    int32_t other = leaders.list[first + j];
    if (near(row + i, other, s)) atomicMin(leader + row + i, other);
  });
}

// Of 64 rows in order, with the leader each has found before them: the first near one that has
// become a leader among them, or itself. `close`: bit j of row i: they are near. Returns the new
// leaders.
GPU_DEVICE uint64_t lead_in_order(int64_t row, int rows, const uint64_t* close, int32_t* found) {
  uint64_t leaders = 0;
  for (int i = 0; i < rows; i++) {
    if (found[i] != nobody) continue;
    uint64_t near = close[i] & leaders;
    if (!near) leaders |= uint64_t{1} << i;
    found[i] = static_cast<int32_t>(row + (near ? __ffsll(static_cast<long long>(near)) - 1 : i));
  }
  return leaders;
}

// One block: rows row ... row + 63 once they know the leaders before them.
__global__ void __launch_bounds__(gpu::tile_threads)
    lead_kernel(Nearness near, int64_t row, Leaders leaders, int32_t* leader) {
  GPU_SHARED(float, left, [gpu::operand_size<float>()]);
  GPU_SHARED(float, right, [gpu::operand_size<float>()]);
  GPU_SHARED(unsigned char, pairs, [tile_rows][tile_rows]);
  GPU_SHARED(uint64_t, close, [tile_rows]);
  GPU_SHARED(int32_t, found, [tile_rows]);
  GPU_SHARED(uint64_t, fresh, );
  Tile<float, 4, 4> product;
  gpu::multiply_rows(product, near.u, row, near.u, row, left, right);
  product.each([&](int i, int j, float s) {
    bool inside = j < i && row + i < near.u.rows;
    pairs[i][j] = inside && near(row + i, row + j, s);
  });
  __syncthreads();
  int64_t left_over = near.u.rows - row;
  int i = static_cast<int>(threadIdx.x);
  int rows = static_cast<int>(left_over < tile_rows ? left_over : tile_rows);
  if (i < rows) {
    uint64_t bits = 0;
    for (int j = 0; j < i; j++) bits |= static_cast<uint64_t>(pairs[i][j]) << j;
    close[i] = bits;
    found[i] = leader[row + i];
  }
  int32_t before = *leaders.count;
  __syncthreads();
  if (i == 0) {
    fresh = lead_in_order(row, rows, close, found);
    *leaders.count = before + __popcll(fresh);
  }
  __syncthreads();
  if (i >= rows) return;
  leader[row + i] = found[i];
  uint64_t those = (uint64_t{1} << i) - 1;
  if (fresh >> i & 1)
    leaders.list[before + __popcll(fresh & those)] = static_cast<int32_t>(row + i);
}

__global__ void start_kernel(int32_t* leader, int64_t K, bool alone) {
  for (int64_t k = gpu::first_index(); k < K; k += gpu::index_stride())
    leader[k] = alone ? static_cast<int32_t>(k) : nobody;
}

GPU_DEVICE int32_t find(const int32_t* parent, int32_t k) {
  for (int32_t up = gpu::load_now(parent + k); up != k; up = gpu::load_now(parent + k)) k = up;
  return k;
}

// Hangs the larger root below the smaller one: the root of a component ends as its smallest row,
// whatever the order.
GPU_DEVICE void unite(int32_t* parent, int32_t i, int32_t j) {
  for (;;) {
    int32_t a = find(parent, i), b = find(parent, j);
    if (a == b) return;
    int32_t low = a < b ? a : b, high = a < b ? b : a;
    if (atomicCAS(parent + high, high, low) == high) return;
  }
}

__global__ void __launch_bounds__(gpu::tile_threads) unite_kernel(Nearness near, int32_t* parent) {
  GPU_SHARED(float, left, [gpu::operand_size<float>()]);
  GPU_SHARED(float, right, [gpu::operand_size<float>()]);
  gpu::Pair tile = gpu::triangle_pair(blockIdx.x);
  int64_t row = tile.i * tile_rows, column = tile.j * tile_rows;
  Tile<float, 4, 4> product;
  gpu::multiply_rows(product, near.u, row, near.u, column, left, right);
  product.each([&](int i, int j, float s) {
    int64_t a = row + i, b = column + j;
    if (a < b && b < near.u.rows && near(a, b, s))
      unite(parent, static_cast<int32_t>(a), static_cast<int32_t>(b));
  });
}

__global__ void flatten_kernel(const int32_t* parent, int64_t K, int32_t* leader) {
  for (int64_t k = gpu::first_index(); k < K; k += gpu::index_stride())
    leader[k] = find(parent, static_cast<int32_t>(k));
}

void lead_greedily(Gpu& gpu, const Nearness& near, int32_t* leader) {
  int64_t K = near.u.rows;
  Leaders leaders{gpu.scratch<int32_t>(1, K), gpu.scratch<int32_t>(2, 1)};
  gpu.fill(leaders.count, 0, sizeof(int32_t));
  GPU_LAUNCH(gpu, start_kernel, gpu::cover(K), leader, K, false);
  for (int64_t row = 0; row < K; row += tile_rows) {
    dim3 before(static_cast<unsigned>(row / tile_rows));  // as many leaders as rows at most
    if (row > 0)
      GPU_LAUNCH(gpu, join_kernel, gpu::Grid{before, dim3(gpu::tile_threads)}, near, row, leaders,
                 leader);
    GPU_LAUNCH(gpu, lead_kernel, gpu::Grid{dim3(1), dim3(gpu::tile_threads)}, near, row, leaders,
               leader);
  }
}

void lead_components(Gpu& gpu, const Nearness& near, int32_t* leader) {
  int64_t K = near.u.rows, tiles = ceil_div(K, tile_rows);
  int32_t* parent = gpu.scratch<int32_t>(1, K);
  dim3 triangle(static_cast<unsigned>(tiles * (tiles + 1) / 2));
  GPU_LAUNCH(gpu, start_kernel, gpu::cover(K), parent, K, true);
  GPU_LAUNCH(gpu, unite_kernel, gpu::Grid{triangle, dim3(gpu::tile_threads)}, near, parent);
  GPU_LAUNCH(gpu, flatten_kernel, gpu::cover(K), parent, K, leader);
}

void forward(const Run& run) {
  int64_t K = run.in[0].dim(0), P = run.in[0].dim(1);
  if (K == 0) return;
  Gpu& gpu = Gpu::of(run);
  const float* w = run.in[0].as<float>();
  float *inverse = gpu.scratch<float>(0, K), *none = nullptr;
  double* inverse_norm = gpu.scratch<double>(3, K);
  GPU_LAUNCH_ROWS(gpu, gpu::lengths_kernel, K, P, w, 1e-12, none, inverse, inverse_norm);
  // The largest error of a rounded product of two directions, a sum of P terms.
  double doubt = static_cast<double>(P + 16) * FLT_EPSILON;
  std::span<const double> epsilons = run.attrs.list("epsilons");
  int64_t components = run.attrs.integer("components", 0);
  int32_t* leader = run.out[0].as<int32_t>();
  for (double epsilon : epsilons) {
    Nearness near{{w, inverse, K, P}, {w, K, P, P, 1}, inverse_norm, doubt, epsilon};
    if (components != 1) lead_greedily(gpu, near, leader);
    if (components == 1) lead_components(gpu, near, leader);
    if (components == 2)
      lead_components(gpu, near, leader + static_cast<int64_t>(epsilons.size()) * K);
    leader += K;
  }
}

}  // namespace

extern const Kernel unique_prototypes_cuda = {forward, nullptr};

}  // namespace protea

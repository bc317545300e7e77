// Tensor cores and the loads that feed them. Whole numbers have exact products and sums, so a
// fragment that lies elsewhere than PTX says shows; and what the search for nearest rows takes for
// granted of sums in f16 is measured.
#include <algorithm>
#include <cmath>

#include "../../cuda/nearest.h"
#include "../../cuda/warp_rows.cuh"
#include "arrays.h"

namespace protea {
namespace {

using test::Device32;
using test::every_schedule;
using Values = std::vector<float>;

enum class From { Rows, Columns, Registers };  // how b reaches the registers

// c (16, 8) = a (16, 16) b (16, 8), by one instruction.
template <class T, From from>
__global__ void multiply_kernel(const float* a, const float* b, float* c) {
  GPU_SHARED(T, left, [16][24]);
  GPU_SHARED(T, right, [16][24]);
  int lane = gpu::lane_index(), g = lane / 4, t = lane % 4 * 2;
  for (int i = lane; i < 256; i += 32) left[i / 16][i % 16] = gpu::rounded<T>(a[i]);
  for (int i = lane; i < 256; i += 32) {
    int row = i / 16, column = i % 16;
    int k = from == From::Rows ? column : row, j = from == From::Rows ? row : column;
    right[row][column] = gpu::rounded<T>(j < 8 ? b[k * 8 + j] : 0);
  }
  __syncwarp();
  uint32_t x[4], y[4];
  float d[4] = {};
  gpu::load_matrices(x, &left[lane & 15][(lane >> 4) * 8]);
  if (from == From::Rows)
    gpu::load_matrices(y, &right[(lane & 7) + (lane >> 4) * 8][(lane >> 3 & 1) * 8]);
  else
    gpu::load_matrices_transposed(y, &right[lane & 15][(lane >> 4) * 8]);
  if (from == From::Registers) {
    for (int r = 0; r < 4; r++) {
      const float* at = a + (g + r % 2 * 8) * 16 + t + r / 2 * 8;
      x[r] = gpu::packed<T>(at[0], at[1]);
    }
    for (int r = 0; r < 2; r++) {
      const float* at = b + (t + r * 8) * 8 + g;
      y[r] = gpu::packed<T>(at[0], at[8]);
    }
  }
  uint32_t first[2] = {y[0], y[1]};
  gpu::mma(d, x, first, T{});
  for (int i = 0; i < 4; i++) c[(g + i / 2 * 8) * 8 + t + i % 2] = d[i];
}

template <class T, From from>
bool product_is_exact() {
  Device32 device;
  Values a(256), b(128);
  for (int i = 0; i < 256; i++) a[i] = static_cast<float>(i * 7 % 31 - 15);
  for (int i = 0; i < 128; i++) b[i] = static_cast<float>(i * 5 % 29 - 14);
  float *left = device.make(a), *right = device.make(b), *to = device.make(Values(128));
  GPU_LAUNCH(device.gpu, (multiply_kernel<T, from>), gpu::Grid{dim3(1), dim3(32)}, left, right, to);
  Values c = device.read(to, 128);
  for (int i = 0; i < 16; i++)
    for (int j = 0; j < 8; j++) {
      float sum = 0;
      for (int k = 0; k < 16; k++) sum += a[i * 16 + k] * b[k * 8 + j];
      if (c[i * 8 + j] != sum) return false;
    }
  return true;
}

constexpr int most_depth = 1024, stride = most_depth + 8;

// c (16, 16) = u uᵀ, 16 rows of `depth` numbers rounded to f16.
__global__ void rough_kernel(const float* u, float* c, int depth) {
  gpu::Carver carver;
  auto* rows = carver.take<gpu::f16>(16 * stride);
  for (int i = gpu::lane_index(); i < 16 * depth; i += 32)
    rows[i / depth * stride + i % depth] = gpu::rounded<gpu::f16>(u[i]);
  __syncwarp();
  gpu::WarpRows<16> product;
  product.clear();
  product.add_product<gpu::f16>(rows, stride, rows, stride, depth);
  product.each(
      [&](int upper, int j, float s) { c[(upper * 8 + gpu::lane_index() / 4) * 16 + j] = s; });
}

// Row i: numbers that fall off by `decay`, all of one sign or of both, scaled to length 1.
Values directions(int depth, double decay, bool signs) {
  Values u(16 * depth);
  for (int i = 0; i < 16; i++) {
    double square = 0;
    std::vector<double> row(depth);
    for (int k = 0; k < depth; k++) {
      row[k] = std::pow(decay, k) * (1 + 0.3 * std::sin(i + 1.3 * k));
      if (signs && (i * 5 + k * 3) % 7 < 3) row[k] = -row[k];
      square += row[k] * row[k];
    }
    for (int k = 0; k < depth; k++)
      u[i * depth + k] = static_cast<float>(row[k] / std::sqrt(square));
  }
  return u;
}

template <int depth>
bool sums_are_near() {
  bool near = true;
  for (double decay : {1.0, 0.97, 0.5})  // the last ones are below f16's normal numbers
    for (bool signs : {false, true}) {
      Device32 device;
      Values u = directions(depth, decay, signs);
      float *from = device.make(u), *to = device.make(Values(256));
      gpu::Grid warp{dim3(1), dim3(32), gpu::carved<gpu::f16>(16 * stride)};
      GPU_LAUNCH(device.gpu, rough_kernel, warp, from, to, depth);
      Values c = device.read(to, 256);
      for (int n = 0; n < 256; n++) {
        double sum = 0;
        for (int k = 0; k < depth; k++)
          sum += double(u[n / 16 * depth + k]) * u[n % 16 * depth + k];
        near = near && std::fabs(c[n] - sum) <= gpu::rough_error(depth);
      }
    }
  return near;
}

}  // namespace

void test_matrices() {
  every_schedule("bf16 by rows", product_is_exact<gpu::bf16, From::Rows>);
  every_schedule("bf16 by columns", product_is_exact<gpu::bf16, From::Columns>);
  every_schedule("bf16 from registers", product_is_exact<gpu::bf16, From::Registers>);
  every_schedule("f16 by rows", product_is_exact<gpu::f16, From::Rows>);
  every_schedule("f16 by columns", product_is_exact<gpu::f16, From::Columns>);
  every_schedule("f16 from registers", product_is_exact<gpu::f16, From::Registers>);
  every_schedule("sums of 16 products of f16", sums_are_near<16>);
  every_schedule("sums of 1024 products of f16", sums_are_near<1024>);
}

}  // namespace protea

// gemm() of the GPU by whoever makes the product: our kernels, or cuBLASLt and its twin as
// PROTEA_CUBLASLT says.
#include <cmath>
#include <cstdlib>
#include <vector>

#include "../../cuda/blas.h"
#include "../../cuda/map.cuh"
#include "../check.h"

namespace protea {
namespace {

using gpu::Epilogue;
using gpu::Matrix;

struct Case {
  int64_t M, N, K, extra;  // extra: columns between the rows of each matrix
  bool transpose_a, transpose_b, accumulate, bias, gelu;
};

const Case cases[] = {{1, 1, 1, 0, false, false, false, false, false},
                      {7, 129, 33, 0, false, true, false, true, true},
                      {129, 7, 64, 3, true, false, true, true, false},
                      {64, 48, 100, 5, false, false, true, false, false},
                      {40, 72, 8, 8, true, true, false, true, true},
                      {12, 20, 52, 0, false, true, false, false, true}};

std::vector<float> wave(int64_t count, float phase) {
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; i++) values[i] = std::sin(phase + 0.7f * static_cast<float>(i));
  return values;
}

double gelu(double x) { return 0.5 * x * std::erfc(-x * std::sqrt(0.5)); }

// Host copies of what one product reads and writes.
struct Host {
  int64_t a_stride, b_stride, c_stride;
  std::vector<float> a, b, c, bias, gelu;

  explicit Host(const Case& k)
      : a_stride((k.transpose_a ? k.M : k.K) + k.extra),
        b_stride((k.transpose_b ? k.K : k.N) + k.extra),
        c_stride(k.gelu ? k.N : k.N + k.extra),
        a(wave((k.transpose_a ? k.K : k.M) * a_stride, 1)),
        b(wave((k.transpose_b ? k.N : k.K) * b_stride, 2)),
        c(wave(k.M * c_stride, 3)),
        bias(wave(k.N, 4)),
        gelu(k.M * k.N) {}

  double product(const Case& k, int64_t i, int64_t j) const {
    double sum = k.accumulate ? c[i * c_stride + j] : 0;
    for (int64_t d = 0; d < k.K; d++)
      sum += double(k.transpose_a ? a[d * a_stride + i] : a[i * a_stride + d]) *
             double(k.transpose_b ? b[j * b_stride + d] : b[d * b_stride + j]);
    return k.bias ? sum + bias[j] : sum;
  }
};

// Operands as they are, rounded beforehand as for several products, or stored in bf16 as the result
// is.
enum class Mode { Plain, Once, Stored };

// The numbers of f32 in bf16, without those between rows.
const gpu::bf16* in_halves(Gpu& gpu, int slot, const Matrix& m, int64_t rows, int64_t columns) {
  auto* to = gpu.scratch<gpu::bf16>(slot, rows * columns);
  for (int64_t i = 0; i < rows; i++)
    gpu::store(gpu, gpu::Same{m.data + i * m.stride}, to + i * columns, columns);
  return to;
}

// The operands on the device.
std::pair<Matrix, Matrix> operands(Gpu& gpu, Precision precision, const Case& k, const Host& host,
                                   Mode mode) {
  Matrix a{gpu.constants<float>(0, host.a), host.a_stride, k.transpose_a};
  Matrix b{gpu.constants<float>(1, host.b), host.b_stride, k.transpose_b};
  if (mode == Mode::Plain) return {a, b};
  if (mode == Mode::Stored) {
    int64_t a_columns = k.transpose_a ? k.M : k.K, b_columns = k.transpose_b ? k.K : k.N;
    auto* halves = in_halves(gpu, 5, a, k.M * k.K / a_columns, a_columns);
    auto* others = in_halves(gpu, 6, b, k.N * k.K / b_columns, b_columns);
    return {{nullptr, 0, k.transpose_a, halves, a_columns},
            {nullptr, 0, k.transpose_b, others, b_columns}};
  }
  return {
      gpu::round_once(gpu, precision, 5, a, k.transpose_a ? k.K : k.M, k.transpose_a ? k.M : k.K),
      gpu::round_once(gpu, precision, 6, b, k.transpose_b ? k.N : k.K, k.transpose_b ? k.K : k.N)};
}

// The largest difference from the definition, and whether what lies between rows was left alone.
void try_case(Gpu& gpu, Precision precision, const Case& k, Mode mode, double& error, bool& kept) {
  Host host(k);
  auto [a, b] = operands(gpu, precision, k, host, mode);
  float *c = gpu.constants<float>(2, host.c), *bias = gpu.constants<float>(3, host.bias);
  float* gelu_to = gpu.scratch<float>(4, host.gelu.size());
  gpu::gemm(gpu, precision, k.M, k.N, k.K, a, b, c, host.c_stride, k.accumulate,
            Epilogue{k.bias ? bias : nullptr, k.gelu ? gelu_to : nullptr});
  std::vector<float> found(host.c.size());
  gpu.download(found.data(), c, found.size() * sizeof(float))();
  if (k.gelu) gpu.download(host.gelu.data(), gelu_to, host.gelu.size() * sizeof(float))();
  for (int64_t i = 0; i < k.M; i++) {
    for (int64_t j = 0; j < k.N; j++) {
      double expected = host.product(k, i, j);
      error = std::max(error, std::abs(found[i * host.c_stride + j] - expected));
      if (k.gelu) error = std::max(error, std::abs(host.gelu[i * k.N + j] - gelu(expected)));
    }
    for (int64_t j = k.N; j < host.c_stride; j++)
      kept = kept && found[i * host.c_stride + j] == host.c[i * host.c_stride + j];
  }
}

// The same between arrays of bf16, whose numbers lie close together.
double stored_error(Gpu& gpu, Case k) {
  k.extra = 0;
  Host host(k);
  auto [a, b] = operands(gpu, Precision::BF16, k, host, Mode::Stored);
  float *c = gpu.constants<float>(2, host.c), *bias = gpu.constants<float>(3, host.bias);
  int64_t size = k.M * k.N;
  auto* to = gpu.scratch<gpu::bf16>(4, 2 * size + 8);
  gpu::bf16* gelu_to = to + (size + 7) / 8 * 8;
  gpu::store(gpu, gpu::Same{c}, to, size);
  gpu::gemm(gpu, Precision::BF16, k.M, k.N, k.K, a, b, to, k.N, k.accumulate,
            Epilogue{k.bias ? bias : nullptr, k.gelu ? gelu_to : nullptr});
  std::vector<float> found(size), gelus(size);
  auto fetch = [&](const gpu::bf16* from, std::vector<float>& values) {
    gpu::store(gpu, gpu::Same{from}, c, size);
    gpu.download(values.data(), c, size * sizeof(float))();
  };
  fetch(to, found);
  if (k.gelu) fetch(gelu_to, gelus);
  double error = 0;
  for (int64_t i = 0; i < size; i++) {
    double expected = host.product(k, i / k.N, i % k.N);
    error = std::max(error, std::abs(found[i] - expected));
    if (k.gelu) error = std::max(error, std::abs(gelus[i] - gelu(expected)));
  }
  return error;
}

// What gemm() says of itself under each setting.
bool is_as_set(const std::string& note) {
  const char* text = std::getenv("PROTEA_CUBLASLT");
  std::string setting = text ? text : "";
  if (setting == "emulated-wrong") return note.starts_with("cuBLASLt failed a trial");
  if (setting == "emulated") return note.starts_with("cuBLASLt 0.0");
  if (setting == "off") return note.starts_with("switched off");
  return !note.empty();
}

}  // namespace

void test_products() {
  Gpu gpu;
  const std::string note = gpu.blas().note();
  std::printf("{\"products\":\"%s\"}\n", note.c_str());
  test::expect(is_as_set(note), "products are made as PROTEA_CUBLASLT says: " + note);
  for (Precision precision : {Precision::F32, Precision::BF16})
    for (const Case& k : cases) {
      double error = 0;
      bool kept = true;
      for (Mode mode : {Mode::Plain, Mode::Once}) try_case(gpu, precision, k, mode, error, kept);
      std::string what = std::to_string(k.M) + " x " + std::to_string(k.N) + " x " +
                         std::to_string(k.K) + ": error " + std::to_string(error);
      test::expect(error < (precision == Precision::F32 ? 2e-5 : 0.1), what);
      test::expect(kept, what + ", what lies between rows is left alone");
    }
  for (const Case& k : cases) {
    double error = stored_error(gpu, k);
    test::expect(error < 0.15, "stored in bf16, " + std::to_string(k.M) + " x " +
                                   std::to_string(k.N) + ": error " + std::to_string(error));
  }
}

}  // namespace protea

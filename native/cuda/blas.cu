#include "blas.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "rounded.cuh"

namespace protea::gpu {
namespace {

constexpr size_t workspace_bytes = size_t{32} << 20;  // what NVIDIA advises for Hopper

constexpr size_t most_plans = 1024;            // masked tokens come in another number each step
constexpr uint32_t least_bias_alignment = 16;  // that the epilogues of older versions read by

uint32_t alignment_of(const void* data) {
  auto address = reinterpret_cast<uintptr_t>(data);
  uint32_t bytes = 256;
  while (address % bytes) bytes /= 2;
  return bytes;
}

}  // namespace

struct Blas::Plan {
  lt::Desc desc = nullptr;
  lt::Layout a = nullptr, b = nullptr, c = nullptr;
  lt::Algorithm algorithm{};
  size_t workspace = 0;
  bool usable = false;
};

Blas::Blas(Gpu& gpu) : gpu_(gpu), api_(lt::load(note_)) {
  if (!api_) return;
  std::string problem = try_out();
  if (!problem.empty()) {
    note_ = problem + " (" + note_ + ")";
    release();
    return;
  }
  note_ = "cuBLASLt " + lt::version_of(*api_) + " (" + note_ + ")";
}

Blas::~Blas() { release(); }

void Blas::forget_plans() {
  for (auto& [shape, plan] : plans_) {
    for (lt::Layout layout : {plan.a, plan.b, plan.c})
      if (layout) api_->layout_destroy(layout);
    if (plan.desc) api_->desc_destroy(plan.desc);
  }
  plans_.clear();
}

void Blas::release() {
  if (!api_) return;
  forget_plans();
  if (handle_) api_->destroy(handle_);
  api_ = nullptr;
}

std::string Blas::try_out() {
  if (int status = api_->create(&handle_))
    return "cuBLASLt could not be started: status " + std::to_string(status);
  struct Kind {
    const char* name;
    Precision precision;
    bool to_half;
  };
  for (const Kind& kind : {Kind{"f32", Precision::F32, false}, Kind{"bf16", Precision::BF16, false},
                           Kind{"bf16 to bf16", Precision::BF16, true}})
    for (bool transpose_a : {false, true})
      for (bool transpose_b : {false, true}) {
        std::string problem = trial(kind.precision, kind.to_half, transpose_a, transpose_b);
        if (problem.empty()) continue;
        return std::string("cuBLASLt failed a trial: ") + kind.name +
               (transpose_a ? ", aᵀ" : ", a") + (transpose_b ? " bᵀ" : " b") + ", " + problem;
      }
  return "";
}

Matrix Blas::rounded(int slot, Matrix matrix, int64_t rows, int64_t columns) {
  if (matrix.rounded) return matrix;
  bf16* to = gpu_.scratch<bf16>(slot, rows * rounded_row(columns));
  round_rows(gpu_, View{matrix.data, rows, columns, matrix.stride, 1}, to, rows,
             rounded_row(columns));
  matrix.rounded = to;
  matrix.rounded_stride = rounded_row(columns);
  return matrix;
}

// What the library is given in place of a matrix of f32.
Matrix Blas::in_halves(int slot, Matrix matrix, int64_t rows, int64_t columns) {
  matrix = rounded(slot, matrix, rows, columns);
  matrix.data = reinterpret_cast<const float*>(matrix.rounded);
  matrix.stride = matrix.rounded_stride;
  return matrix;
}

// The library takes a bias in the type of C.
const void* Blas::bias_beside(Target c, const Epilogue& epilogue, int64_t N) {
  const float* bias = epilogue.bias;
  if (!bias || !c.half) return bias;
  if (epilogue.rounded_bias) return epilogue.rounded_bias;
  bf16* to = gpu_.scratch<bf16>(Gpu::bias_slot, rounded_row(N));
  round_rows(gpu_, View{bias, 1, N, N, 1}, to, 1, rounded_row(N));
  return to;
}

bool Blas::multiply(Precision precision, int64_t M, int64_t N, int64_t K, Matrix a, Matrix b,
                    Target target, int64_t ldc, bool accumulate, const Epilogue& epilogue) {
  if (!api_ || K == 0) return false;
  const void* bias = bias_beside(target, epilogue, N);
  if (bias && alignment_of(bias) < least_bias_alignment) return false;
  bool half = precision == Precision::BF16;
  if (!half && (!a.data || !b.data || !target.data)) return false;
  void* c = target.half ? static_cast<void*>(target.half) : target.data;
  if (half) {
    a = in_halves(Gpu::left_slot, a, a.transpose ? K : M, a.transpose ? M : K);
    b = in_halves(Gpu::right_slot, b, b.transpose ? N : K, b.transpose ? K : N);
  }
  Shape shape{M,
              N,
              K,
              a.stride,
              b.stride,
              ldc,
              half ? lt::BF16 : lt::F32,
              target.half ? lt::BF16 : lt::F32,
              a.transpose,
              b.transpose,
              alignment_of(a.data),
              alignment_of(b.data),
              alignment_of(c),
              bias ? alignment_of(bias) : 0};
  if (plans_.size() == most_plans) forget_plans();
  auto [at, fresh] = plans_.try_emplace(shape);
  Plan& plan = at->second;
  if (fresh) plan.usable = choose(plan, shape, bias);
  if (!plan.usable) return false;
  if (bias && api_->desc_set(plan.desc, lt::BiasPointer, &bias, sizeof bias)) return false;
  void* workspace =
      plan.workspace ? gpu_.scratch<char>(Gpu::workspace_slot, workspace_bytes) : nullptr;
  const float one = 1, beta = accumulate ? 1 : 0;
  return api_->matmul(handle_, plan.desc, &one, b.data, plan.b, a.data, plan.a, &beta, c, plan.c, c,
                      plan.c, &plan.algorithm, workspace, plan.workspace,
                      gpu_.stream(reinterpret_cast<uint64_t>(&plan))) == 0;
}

// The library sees Cᵀ (N, M) = op(B)ᵀ op(A)ᵀ, column by column: what lies row by row is its
// transpose, and a matrix that we transpose is one that it does.
bool Blas::choose(Plan& plan, const Shape& s, const void* bias) {
  auto type = static_cast<lt::DataType>(s.type);
  auto layout = [&](lt::Layout* to, lt::DataType of, bool transposed, int64_t rows, int64_t columns,
                    int64_t stride) {
    if (transposed) std::swap(rows, columns);
    return api_->layout_create(to, of, rows, columns, stride);
  };
  if (api_->desc_create(&plan.desc, lt::InF32, lt::F32) ||
      layout(&plan.a, type, s.transpose_a, s.K, s.M, s.a_stride) ||
      layout(&plan.b, type, s.transpose_b, s.N, s.K, s.b_stride) ||
      layout(&plan.c, static_cast<lt::DataType>(s.c_type), false, s.N, s.M, s.c_stride))
    return false;
  int first = s.transpose_b ? lt::Transposed : lt::Plain;
  int second = s.transpose_a ? lt::Transposed : lt::Plain;
  uint32_t epilogue = bias ? lt::AddBias : lt::NoEpilogue;
  lt::Preference preference = nullptr;
  uint32_t schemes = lt::joined_in_compute_type;
  auto desc = [&](int name, const auto& value) {
    return api_->desc_set(plan.desc, name, &value, sizeof value) == 0;
  };
  auto prefer = [&](int name, const auto& value) {
    return api_->preference_set(preference, name, &value, sizeof value) == 0;
  };
  if (api_->preference_create(&preference)) return false;
  lt::Heuristic best{};
  int found = 0;
  bool set = desc(lt::TransposeA, first) && desc(lt::TransposeB, second) &&
             desc(lt::EpilogueKind, epilogue) && (!bias || desc(lt::BiasPointer, bias)) &&
             prefer(lt::MaxWorkspace, workspace_bytes) && prefer(lt::ReductionSchemes, schemes) &&
             prefer(lt::AlignmentA, s.b_alignment) && prefer(lt::AlignmentB, s.a_alignment) &&
             prefer(lt::AlignmentC, s.c_alignment) && prefer(lt::AlignmentD, s.c_alignment);
  set = set && api_->heuristic(handle_, plan.desc, plan.b, plan.a, plan.c, plan.c, preference, 1,
                               &best, &found) == 0;
  api_->preference_destroy(preference);
  plan.algorithm = best.algorithm;
  plan.workspace = best.workspace;
  return set && found > 0 && best.state == 0;
}

// One product with bias on top of what was there, by the library and by ourselves: what is wrong.
// In bf16 nothing is there: numbers of f32 seen as bf16 would be any.
std::string Blas::trial(Precision precision, bool to_half, bool transpose_a, bool transpose_b) {
  constexpr int64_t M = 24, N = 40, K = 56, sizes = M * K + K * N + N + 2 * M * N;
  std::vector<float> numbers(sizes);
  for (int64_t i = 0; i < sizes; i++) numbers[i] = static_cast<float>(std::sin(1.0 + i));
  std::copy_n(numbers.end() - 2 * M * N, M * N, numbers.end() - M * N);
  float* data = gpu_.constants<float>(Gpu::trial_slot, numbers);
  Matrix a{data, transpose_a ? M : K, transpose_a};
  Matrix b{data + M * K, transpose_b ? K : N, transpose_b};
  const float* bias = data + M * K + K * N;
  float *ours = data + sizes - 2 * M * N, *theirs = ours + M * N;
  auto target = [&](float* to) { return to_half ? reinterpret_cast<bf16*>(to) : Target(to); };
  if (!multiply(precision, M, N, K, a, b, target(theirs), N, !to_half, {bias})) return "declined";
  own_gemm(gpu_, precision, M, N, K, a, b, target(ours), N, !to_half, {bias});
  gpu_.download(numbers.data(), ours, 2 * M * N * sizeof(float))();
  auto number = [&](int64_t from, int64_t i) {
    if (!to_half) return numbers[from + i];
    uint16_t upper;
    std::memcpy(&upper, reinterpret_cast<const char*>(&numbers[from]) + 2 * i, sizeof upper);
    uint32_t bits = uint32_t{upper} << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  };
  // Both round operands alike; sums of 56 products differ by their order only, which tensor cores
  // cut short. A result in bf16 may be its neighbour.
  for (int64_t i = 0; i < M * N; i++) {
    float our = number(0, i), error = std::abs(our - number(M * N, i));
    float allowed = to_half ? 3e-2f + std::abs(our) / 64 : 1e-2f;
    if (!(error < allowed)) return "off by " + std::to_string(error);
  }
  return "";
}

}  // namespace protea::gpu

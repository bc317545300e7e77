#include "blas_twin.h"

#include <cstring>
#include <utility>

#ifndef __CUDACC__

namespace protea::gpu::lt {
namespace {

constexpr Status success = 0, invalid_value = 7, not_supported = 15;

struct MatmulDesc {
  DataType scale;
  int transpose_a = Plain, transpose_b = Plain;
  uint32_t epilogue = NoEpilogue;
  const void* bias = nullptr;  // of the type of d
};

struct MatrixLayout {
  DataType type;
  uint64_t rows, columns;
  int64_t stride;
};

struct MatmulPreference {
  uint64_t workspace = 0;
  uint32_t schemes = 7;
  uint32_t alignment[4] = {256, 256, 256, 256};
};

// What an algorithm was chosen for.
struct Chosen {
  uint32_t alignment[4];
};

template <class T>
Status make(void** to, T value) {
  *to = new T(value);
  return success;
}

template <class T>
Status drop(void* object) {
  delete static_cast<T*>(object);
  return success;
}

template <class T>
Status take(T& to, const void* value, size_t bytes) {
  if (bytes != sizeof(T)) return invalid_value;
  std::memcpy(&to, value, bytes);
  return success;
}

Status desc_set(Desc to, int attribute, const void* value, size_t bytes) {
  auto& desc = *static_cast<MatmulDesc*>(to);
  switch (attribute) {
    case TransposeA:
      return take(desc.transpose_a, value, bytes);
    case TransposeB:
      return take(desc.transpose_b, value, bytes);
    case EpilogueKind:
      return take(desc.epilogue, value, bytes);
    case BiasPointer:
      return take(desc.bias, value, bytes);
  }
  return invalid_value;
}

Status preference_set(Preference to, int attribute, const void* value, size_t bytes) {
  auto& preference = *static_cast<MatmulPreference*>(to);
  if (attribute == MaxWorkspace) return take(preference.workspace, value, bytes);
  if (attribute == ReductionSchemes) return take(preference.schemes, value, bytes);
  if (attribute < AlignmentA || attribute > AlignmentD) return invalid_value;
  return take(preference.alignment[attribute - AlignmentA], value, bytes);
}

Status layout_create(Layout* to, DataType type, uint64_t rows, uint64_t columns, int64_t stride) {
  if (stride < static_cast<int64_t>(rows)) return invalid_value;
  return make(to, MatrixLayout{type, rows, columns, stride});
}

float number(const void* data, DataType type, uint64_t i) {
  if (type == F32) return static_cast<const float*>(data)[i];
  return gpu::to_float(static_cast<const bf16*>(data)[i]);
}

void put(void* data, DataType type, uint64_t i, float value) {
  if (type == F32)
    static_cast<float*>(data)[i] = value;
  else
    static_cast<bf16*>(data)[i] = gpu::rounded<bf16>(value);
}

// A column-by-column matrix as an operation sees it.
struct Operand {
  const MatrixLayout& layout;
  bool transposed;
  uint64_t rows() const { return transposed ? layout.columns : layout.rows; }
  uint64_t columns() const { return transposed ? layout.rows : layout.columns; }
  float at(const void* data, uint64_t row, uint64_t column) const {
    if (transposed) std::swap(row, column);
    return number(data, layout.type, column * layout.stride + row);
  }
};

bool fit(const Operand& a, const Operand& b, const MatrixLayout& c, const MatrixLayout& d) {
  return a.columns() == b.rows() && d.rows == a.rows() && d.columns == b.columns() &&
         c.rows == d.rows && c.columns == d.columns && a.layout.type == b.layout.type &&
         c.type == d.type && (d.type == F32 || a.layout.type == BF16);
}

const MatrixLayout& layout(Layout of) { return *static_cast<MatrixLayout*>(of); }

Status heuristic(Handle, Desc of, Layout a, Layout b, Layout c, Layout d, Preference wanted,
                 int asked, Heuristic* to, int* found) {
  const auto& desc = *static_cast<MatmulDesc*>(of);
  const auto& preference = *static_cast<MatmulPreference*>(wanted);
  Operand left{layout(a), desc.transpose_a == Transposed};
  Operand right{layout(b), desc.transpose_b == Transposed};
  *found = 0;
  if (asked < 1 || !fit(left, right, layout(c), layout(d))) return invalid_value;
  // Tensor cores read whole 16 bytes: 8 numbers of a bf16 row.
  if (layout(a).type == BF16 && (layout(a).stride % 8 || layout(b).stride % 8))
    return not_supported;
  *to = {};
  static_assert(sizeof(Chosen) <= sizeof(Algorithm));
  std::memcpy(&to->algorithm, preference.alignment, sizeof(Chosen));
  to->workspace = preference.workspace < 1024 ? 0 : 1024;
  *found = 1;
  return success;
}

bool aligned(const Algorithm& algorithm, std::initializer_list<const void*> data) {
  Chosen chosen;
  std::memcpy(&chosen, &algorithm, sizeof chosen);
  const uint32_t* bytes = chosen.alignment;
  for (const void* at : data)
    if (reinterpret_cast<uintptr_t>(at) % *bytes++) return false;
  return true;
}

Status matmul(Handle, Desc of, const void* alpha, const void* a, Layout a_layout, const void* b,
              Layout b_layout, const void* beta, const void* c, Layout c_layout, void* d,
              Layout d_layout, const Algorithm* algorithm, void* workspace, size_t bytes,
              cudaStream_t stream) {
  const auto& desc = *static_cast<MatmulDesc*>(of);
  bool biased = desc.epilogue == AddBias;
  if (!aligned(*algorithm, {a, b, c, d}) || (biased && !desc.bias) || (bytes && !workspace))
    return invalid_value;
  float scale = *static_cast<const float*>(alpha), keep = *static_cast<const float*>(beta);
  MatrixLayout la = layout(a_layout), lb = layout(b_layout), lc = layout(c_layout),
               ld = layout(d_layout);
  const void* bias = biased ? desc.bias : nullptr;
  bool ta = desc.transpose_a == Transposed, tb = desc.transpose_b == Transposed;
  simt::enqueue(stream, "cublasLtMatmul", [=] {
    Operand left{la, ta}, right{lb, tb};
    if (bytes) std::memset(workspace, 0xff, bytes);
    for (uint64_t column = 0; column < ld.columns; column++)
      for (uint64_t row = 0; row < ld.rows; row++) {
        float sum = 0;
        for (uint64_t k = 0; k < left.columns(); k++)
          sum += left.at(a, row, k) * right.at(b, k, column);
        float value = scale * sum + (bias ? number(bias, ld.type, row) : 0);
        if (keep != 0) value += keep * number(c, lc.type, column * lc.stride + row);
        put(d, ld.type, column * ld.stride + row, value);
      }
  });
  return success;
}

}  // namespace

const Api& twin(bool wrong) {
  static Api api = {
      [] { return size_t{0}; },
      [](Handle* handle) { return make(handle, 0); },
      drop<int>,
      [](Desc* desc, Compute, DataType scale) { return make(desc, MatmulDesc{scale}); },
      desc_set,
      drop<MatmulDesc>,
      layout_create,
      drop<MatrixLayout>,
      [](Preference* preference) { return make(preference, MatmulPreference{}); },
      preference_set,
      drop<MatmulPreference>,
      heuristic,
      matmul};
  if (wrong)
    api.desc_set = [](Desc desc, int attribute, const void* value, size_t bytes) {
      return attribute == EpilogueKind ? success : desc_set(desc, attribute, value, bytes);
    };
  return api;
}

}  // namespace protea::gpu::lt

#endif

#pragma once
// The slice of cuBLASLt that products need, declared here: the library is opened at run time, so
// that neither its headers to build nor the library itself to run are required. Names, values and
// layouts are those of cublasLt.h since CUDA 11.4.
#include <cstddef>
#include <cstdint>
#include <string>

#include "gpu.h"

namespace protea::gpu::lt {

using Status = int;  // 0: success
enum DataType : int { F32 = 0, BF16 = 14 };
enum Compute : int { InF32 = 68 };
enum Operation : int { Plain = 0, Transposed = 1 };
enum DescAttribute : int { TransposeA = 3, TransposeB = 4, EpilogueKind = 7, BiasPointer = 8 };
enum EpilogueValue : uint32_t { NoEpilogue = 1, AddBias = 4 };
enum PreferenceAttribute : int {
  MaxWorkspace = 1,
  ReductionSchemes = 3,
  AlignmentA = 5,
  AlignmentB = 6,
  AlignmentC = 7,
  AlignmentD = 8
};
// Split sums are joined in f32 by a pass of their own, in a fixed order.
constexpr uint32_t joined_in_compute_type = 2;

using Handle = void*;
using Desc = void*;
using Layout = void*;
using Preference = void*;

struct Algorithm {
  uint64_t data[8];
};
struct Heuristic {
  Algorithm algorithm;
  size_t workspace;
  Status state;
  float waves;
  int reserved[4];
};

// Matrices are column by column.
struct Api {
  size_t (*version)();
  Status (*create)(Handle*);
  Status (*destroy)(Handle);
  Status (*desc_create)(Desc*, Compute, DataType scale);
  Status (*desc_set)(Desc, int attribute, const void*, size_t);
  Status (*desc_destroy)(Desc);
  Status (*layout_create)(Layout*, DataType, uint64_t rows, uint64_t columns, int64_t stride);
  Status (*layout_destroy)(Layout);
  Status (*preference_create)(Preference*);
  Status (*preference_set)(Preference, int attribute, const void*, size_t);
  Status (*preference_destroy)(Preference);
  Status (*heuristic)(Handle, Desc, Layout a, Layout b, Layout c, Layout d, Preference, int asked,
                      Heuristic*, int* found);
  // d = alpha op(a) op(b) + beta c (+ bias down the rows)
  Status (*matmul)(Handle, Desc, const void* alpha, const void* a, Layout, const void* b, Layout,
                   const void* beta, const void* c, Layout, void* d, Layout, const Algorithm*,
                   void* workspace, size_t, cudaStream_t);
};

// The library, opened once; null: `note` says why not. `note` is otherwise where it was found.
// PROTEA_CUBLASLT: off, or the file to open. Otherwise it is looked for where the loader looks, in
// the toolkit and in the folders where Python wheels put it.
const Api* load(std::string& note);

// Such as "12.9".
std::string version_of(const Api& api);

}  // namespace protea::gpu::lt

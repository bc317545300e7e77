#pragma once
// The only file with launch syntax, inline PTX and `extern __shared__`. Kernels include it and are
// compiled by nvcc or, for tests without a GPU, by the host compiler with native/simt in place of
// the device; each wrapper stands here twice, side by side.
#include <cstdint>

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#else
#include <source_location>

#include "../simt/simt.h"
#include "../simt/tensor_cores.h"
#endif

#include "check.h"

namespace protea::gpu {

constexpr unsigned all_lanes = 0xffffffffu;

// A block may have 48 KiB of shared memory unless its kernel is given leave for more. A third is
// kept for the arrays of GPU_SHARED, which count too.
constexpr size_t shared_without_leave = 32 << 10;

// Where a kernel runs and what it gets.
struct Grid {
  dim3 blocks, threads;
  size_t shared = 0;  // bytes of dynamic shared memory
};

#ifdef __CUDACC__

#define GPU_DEVICE __device__ __forceinline__
// GPU_SHARED(float, tile, [32][33]): an array the block shares; GPU_SHARED(int, count, ): a value.
// Aligned to 16 bytes, which rows of ldmatrix and of 16-byte copies need.
#define GPU_SHARED(type, name, extents) __shared__ __align__(16) type name extents

using bf16 = __nv_bfloat16;
using f16 = __half;
GPU_DEVICE float to_float(float x) { return x; }
GPU_DEVICE float to_float(bf16 x) { return __bfloat162float(x); }
GPU_DEVICE float to_float(f16 x) { return __half2float(x); }
template <class T>
GPU_DEVICE T rounded(float x);
template <>
GPU_DEVICE bf16 rounded<bf16>(float x) {
  return __float2bfloat16_rn(x);
}
template <>
GPU_DEVICE f16 rounded<f16>(float x) {
  return __float2half_rn(x);
}
template <>
GPU_DEVICE float rounded<float>(float x) {
  return x;
}
// a b + c, rounded once whatever the compiler makes of products and sums elsewhere.
GPU_DEVICE float multiply_add(float a, float b, float c) { return __fmaf_rn(a, b, c); }
// Two numbers rounded to T in one register, the first in its lower half.
template <class T>
GPU_DEVICE uint32_t packed(float first, float second) {
  T pair[2] = {rounded<T>(first), rounded<T>(second)};
  uint32_t bits;
  memcpy(&bits, pair, sizeof bits);
  return bits;
}
// And what they are.
template <class T>
GPU_DEVICE float2 unpacked(uint32_t bits) {
  T pair[2];
  memcpy(pair, &bits, sizeof bits);
  return {to_float(pair[0]), to_float(pair[1])};
}

template <class... P, class... A>
cudaError_t try_launch(const char*, void (*kernel)(P...), const Grid& grid, cudaStream_t stream,
                       A... arguments) {
  cudaError_t leave = cudaSuccess;
  if (grid.shared > shared_without_leave)
    leave = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(grid.shared));
  if (leave == cudaSuccess)
    kernel<<<grid.blocks, grid.threads, grid.shared, stream>>>(static_cast<P>(arguments)...);
  return cudaGetLastError();
}

// Cuts arrays out of the launch's dynamic shared memory, each aligned to 16 bytes.
class Carver {
 public:
  template <class T>
  GPU_DEVICE T* take(int count) {
    extern __shared__ uint4 dynamic_shared_memory[];
    T* array = reinterpret_cast<T*>(reinterpret_cast<char*>(dynamic_shared_memory) + taken_);
    taken_ += (count * sizeof(T) + 15) / 16 * 16;
    return array;
  }

 private:
  size_t taken_ = 0;
};

// What lies there now, though other blocks may change it by atomics.
template <class T>
GPU_DEVICE T load_now(const T* at) {
  return *static_cast<const volatile T*>(at);
}

GPU_DEVICE unsigned shared_address(const void* at) {
  return static_cast<unsigned>(__cvta_generic_to_shared(at));
}

// d += a b on tensor cores: a (16, 16), b (16, 8), d (16, 8) in the register layout of PTX's
// mma.m16n8k16.
GPU_DEVICE void mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], bf16) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
GPU_DEVICE void mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], f16) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Four 8 x 8 tiles of 16-bit values; lane l gives the address of row l % 8 of tile l / 8.
GPU_DEVICE void load_matrices(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
GPU_DEVICE void load_matrices_transposed(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

// Copies `Bytes` (4, 8 or 16) to shared memory in the background; zeros unless `valid`. What was
// copied up to a commit may be read after a wait that keeps fewer commits open, and a barrier.
// What 16 bytes a time bring goes past the first cache, which has no use for it.
template <int Bytes>
GPU_DEVICE void copy_async(void* to, const void* from, bool valid) {
  if constexpr (Bytes == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)),
                 "l"(from), "r"(valid ? Bytes : 0)
                 : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared_address(to)),
                 "l"(from), "n"(Bytes), "r"(valid ? Bytes : 0)
                 : "memory");
}
GPU_DEVICE void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int Keep>
GPU_DEVICE void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Keep) : "memory");
}

#else

#define GPU_DEVICE inline
#define GPU_SHARED(type, name, extents) \
  typedef type name##_type extents;     \
  static const char name##_key = 0;     \
  name##_type& name = *static_cast<name##_type*>(::simt::shared(&name##_key, sizeof(name##_type)))

using bf16 = simt::bf16;
using f16 = simt::f16;
using simt::to_float;
inline float to_float(float x) { return x; }
template <class T>
SIMT_INLINE T rounded(float x) {
  if constexpr (std::is_same_v<T, float>)
    return x;
  else
    return simt::rounded<T>(x);
}

// Rounded twice: a host without such an instruction takes a call for it.
SIMT_INLINE float multiply_add(float a, float b, float c) { return a * b + c; }
template <class T>
SIMT_INLINE uint32_t packed(float first, float second) {
  T pair[2] = {rounded<T>(first), rounded<T>(second)};
  uint32_t bits;
  simt::copy_raw(&bits, pair, sizeof bits);
  return bits;
}
template <class T>
SIMT_INLINE float2 unpacked(uint32_t bits) {
  T pair[2];
  simt::copy_raw(pair, &bits, sizeof bits);
  return {to_float(pair[0]), to_float(pair[1])};
}

template <class... P, class... A>
cudaError_t try_launch(const char* name, void (*kernel)(P...), const Grid& grid,
                       cudaStream_t stream, A... arguments) {
  simt::launch(name, kernel, grid.blocks, grid.threads, grid.shared,
               grid.shared > shared_without_leave, stream, arguments...);
  return cudaGetLastError();
}

class Carver {
 public:
  template <class T>
  T* take(int count) {
    return static_cast<T*>(simt::carve(taken_++, count * sizeof(T)));
  }

 private:
  int taken_ = 0;
};

template <class T>
T load_now(const T* at) {
  simt::touch_atomic(at, sizeof(T));
  return simt::load_raw(at);
}

using Caller = std::source_location;
inline simt::Site site_of(const Caller& at) {
  return {at.file_name(), static_cast<int>(at.line())};
}

template <class T>
void mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], T,
         Caller at = Caller::current()) {
  simt::mma<T>(d, a, b, site_of(at));
}
inline void load_matrices(uint32_t (&r)[4], const void* row, Caller at = Caller::current()) {
  simt::load_matrices(r, row, false, site_of(at));
}
inline void load_matrices_transposed(uint32_t (&r)[4], const void* row,
                                     Caller at = Caller::current()) {
  simt::load_matrices(r, row, true, site_of(at));
}
template <int Bytes>
void copy_async(void* to, const void* from, bool valid, Caller at = Caller::current()) {
  simt::async_copy(to, from, Bytes, valid ? Bytes : 0, site_of(at));
}
inline void commit_copies() { simt::async_commit(); }
template <int Keep>
void wait_copies(Caller at = Caller::current()) {
  simt::async_wait(Keep, site_of(at));
}

#endif

template <class... P, class... A>
void launch(const char* name, void (*kernel)(P...), const Grid& grid, cudaStream_t stream,
            A... arguments) {
  check_cuda(try_launch(name, kernel, grid, stream, arguments...), name);
}

// The bytes Carver takes for an array.
template <class T>
constexpr size_t carved(size_t count) {
  return (count * sizeof(T) + 15) / 16 * 16;
}

}  // namespace protea::gpu

// GPU_LAUNCH(gpu, kernel, grid, arguments...): on the compute stream of `gpu`. A kernel with
// template arguments stands in brackets.
#define GPU_LAUNCH(gpu_, kernel, ...) ::protea::gpu::launch_on((gpu_), #kernel, kernel, __VA_ARGS__)

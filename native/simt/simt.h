#pragma once
// CUDA kernels as ordinary C++: what a .cu file sees in place of the CUDA compiler's built-ins when
// it is compiled by the host compiler. One CUDA thread is one fiber; blocks run one after another;
// the threads of a block run interleaved and change places at barriers and warp collectives. Rules
// that are checked: a block is whole warps, every thread reaches every barrier, collectives are met
// by all 32 lanes on one source line.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>

#include "machine.h"
#include "runtime.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

#define SIMT_HERE \
  ::simt::Site { __FILE__, __LINE__ }
#define threadIdx (::simt::here.thread)
#define blockIdx (::simt::here.block)
#define blockDim (::simt::here.block_size)
#define gridDim (::simt::here.grid_size)
#define __syncthreads() ::simt::barrier(SIMT_HERE)
#define __syncwarp() ::simt::sync_warp(SIMT_HERE)
#define __shfl_sync(mask, value, lane) ::simt::shuffle(mask, value, (lane)&31, SIMT_HERE)
#define __shfl_xor_sync(mask, value, bits) \
  ::simt::shuffle(mask, value, ::simt::lane() ^ (bits), SIMT_HERE)
#define __ballot_sync(mask, yes) ::simt::ballot(mask, yes, SIMT_HERE)

namespace simt {

inline int lane() { return static_cast<int>(here.thread.x & 31); }

template <class T>
T shuffle(unsigned mask, T value, int from, Site site) {
  static_assert(sizeof(T) <= slot_bytes && std::is_trivially_copyable_v<T>);
  check_mask(mask, site);
  Slots slots = exchange(Collective::Shuffle, &value, sizeof value, site);
  T result;
  std::memcpy(&result, slots[from], sizeof result);
  return result;
}

inline unsigned ballot(unsigned mask, int yes, Site site) {
  check_mask(mask, site);
  Slots slots = exchange(Collective::Ballot, &yes, sizeof yes, site);
  unsigned result = 0;
  for (int i = 0; i < 32; i++) {
    int said;
    std::memcpy(&said, slots[i], sizeof said);
    result |= static_cast<unsigned>(said != 0) << i;
  }
  return result;
}

template <class... P>
struct Bound {
  void (*kernel)(P...);
  std::tuple<std::decay_t<P>...> arguments;

  static void call(const void* bound) {
    auto* self = static_cast<const Bound*>(bound);
    std::apply(self->kernel, self->arguments);
  }
};

// Arguments are evaluated once, at the launch; every thread gets its own copies.
template <class... P, class... A>
void launch(const char* name, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared,
            bool leave, cudaStream_t stream, A... arguments) {
  using Call = Bound<P...>;
  auto bound = std::make_shared<Call>(
      Call{kernel, std::tuple<std::decay_t<P>...>(static_cast<std::decay_t<P>>(arguments)...)});
  launch({name, grid, block, shared, leave, bound, sizeof(Call), Call::call}, stream);
}

// Read-modify-write that counts as atomic in the race check.
template <class T, class F>
T atomic(T* at, const F& change) {
  touch_atomic(at, sizeof(T));
  T old = load_raw(at);
  store_raw(at, change(old));
  return old;
}

}  // namespace simt

template <class T>
T atomicMax(T* at, std::type_identity_t<T> value) {
  return simt::atomic(at, [&](T old) { return old < value ? value : old; });
}
template <class T>
T atomicMin(T* at, std::type_identity_t<T> value) {
  return simt::atomic(at, [&](T old) { return value < old ? value : old; });
}
template <class T>
T atomicAdd(T* at, std::type_identity_t<T> value) {
  static_assert(std::is_integral_v<T>, "floating-point atomics depend on the order of threads");
  return simt::atomic(at, [&](T old) { return static_cast<T>(old + value); });
}
template <class T>
T atomicCAS(T* at, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  return simt::atomic(at, [&](T old) { return old == expected ? value : old; });
}

template <class T>
T __ldg(const T* at) {
  return *at;
}
inline float cospif(float x) { return static_cast<float>(std::cos(M_PI * x)); }
inline float sinpif(float x) { return static_cast<float>(std::sin(M_PI * x)); }
using std::isfinite;
using std::isinf;
using std::isnan;
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __float_as_uint(float x) {
  unsigned bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
inline float __uint_as_float(unsigned bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32);
}

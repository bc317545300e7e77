#pragma once
// Arrays in f32 or in bf16: what only products read is stored as they round it.
#include "map.cuh"

namespace protea::gpu {

// Calls body.operator()<T>() with the type of the array's numbers.
template <class Body>
void with_stored(const Array& array, const Body& body) {
  if (array.dtype == Dtype::BF16) return body.template operator()<bf16>();
  body.template operator()<float>();
}

// Eight numbers that lie together, at a multiple of 16 bytes.
struct Eight {
  float at[8];
};

GPU_DEVICE Eight load_eight(const bf16* from) {
  uint4 bits = *reinterpret_cast<const uint4*>(from);
  float2 a = unpacked<bf16>(bits.x), b = unpacked<bf16>(bits.y), c = unpacked<bf16>(bits.z),
         d = unpacked<bf16>(bits.w);
  return {{a.x, a.y, b.x, b.y, c.x, c.y, d.x, d.y}};
}

GPU_DEVICE void store_eight(bf16* to, const Eight& value) {
  const float* v = value.at;
  *reinterpret_cast<uint4*>(to) = make_uint4(packed<bf16>(v[0], v[1]), packed<bf16>(v[2], v[3]),
                                             packed<bf16>(v[4], v[5]), packed<bf16>(v[6], v[7]));
}

template <class F, class... Eights>
GPU_DEVICE Eight each_of_eight(const F& f, const Eights&... from) {
  Eight value;
#pragma unroll
  for (int n = 0; n < 8; n++) value.at[n] = f(from.at[n]...);
  return value;
}

// to_i = f(from_i...). One number at a time a thread would have two bytes under way.
template <class F, class... From>
__global__ void map_eights_kernel(F f, bf16* to, int64_t n, From... from) {
  int64_t whole = n / 8;
  for (int64_t i = first_index(); i < whole; i += index_stride())
    store_eight(to + 8 * i, each_of_eight(f, load_eight(from + 8 * i)...));
  int64_t last = 8 * whole + first_index();
  if (last < n) to[last] = rounded<bf16>(f(to_float(from[last])...));
}

// to_i = f(from_i...) between arrays that are all f32 or all bf16. F is a struct with a device
// operator() of one number or of two.
template <class F>
void map_stored(Gpu& gpu, F f, float* to, int64_t n, const float* x) {
  store(gpu, OfOne<F>{x, f}, to, n);
}

template <class F>
void map_stored(Gpu& gpu, F f, float* to, int64_t n, const float* x, const float* y) {
  store(gpu, OfTwo<F>{x, y, f}, to, n);
}

template <class F, class... From>
void map_stored(Gpu& gpu, F f, bf16* to, int64_t n, const From*... from) {
  if (n > 0)
    GPU_LAUNCH(gpu, (map_eights_kernel<F, const From*...>), cover(ceil_div(n, 8)), f, to, n,
               from...);
}

}  // namespace protea::gpu

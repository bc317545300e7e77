#pragma once
#include <cstddef>
#include <cstdint>

#include "error.h"

namespace protea {

// BF16 is how a GPU stores what only products read, which round it anyway: no CPU kernel knows it.
enum class Dtype : uint8_t { F32, F64, I32, U8, BF16 };

constexpr size_t size_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::F32:
    case Dtype::I32:
      return 4;
    case Dtype::F64:
      return 8;
    case Dtype::BF16:
      return 2;
    case Dtype::U8:
      return 1;
  }
  return 0;
}

constexpr const char* name_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::F32:
      return "f32";
    case Dtype::F64:
      return "f64";
    case Dtype::I32:
      return "i32";
    case Dtype::U8:
      return "u8";
    case Dtype::BF16:
      return "bf16";
  }
  return "?";
}

// What an op computes in.
constexpr bool is_floating(Dtype dtype) { return dtype == Dtype::F32 || dtype == Dtype::F64; }
constexpr bool has_gradient(Dtype dtype) { return is_floating(dtype) || dtype == Dtype::BF16; }

template <class T>
constexpr Dtype dtype_of();
template <>
constexpr Dtype dtype_of<float>() {
  return Dtype::F32;
}
template <>
constexpr Dtype dtype_of<double>() {
  return Dtype::F64;
}
template <>
constexpr Dtype dtype_of<int32_t>() {
  return Dtype::I32;
}
template <>
constexpr Dtype dtype_of<uint8_t>() {
  return Dtype::U8;
}

}  // namespace protea

#pragma once
// The widest vector of the instruction set this file is compiled for, as a compiler vector type.

namespace protea::PROTEA_ISA {

#if defined(__AVX512F__)
constexpr int vec_bytes = 64;
#elif defined(__AVX2__)
constexpr int vec_bytes = 32;
#else
constexpr int vec_bytes = 16;
#endif

template <class T>
struct VecOf {
  typedef T type __attribute__((vector_size(vec_bytes)));
  typedef T unaligned __attribute__((vector_size(vec_bytes), aligned(sizeof(T)), may_alias));
};

template <class T>
using Vec = typename VecOf<T>::type;

template <class T>
constexpr int lanes = vec_bytes / static_cast<int>(sizeof(T));

template <class T>
inline __attribute__((always_inline)) Vec<T> load(const T* from) {
  return *reinterpret_cast<const typename VecOf<T>::unaligned*>(from);
}

template <class T>
inline __attribute__((always_inline)) void store(T* to, Vec<T> value) {
  *reinterpret_cast<typename VecOf<T>::unaligned*>(to) = value;
}

}  // namespace protea::PROTEA_ISA

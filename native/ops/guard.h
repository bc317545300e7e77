#pragma once
// A guard is one number, usually the loss: an op that changes state in place does nothing when the
// guard is not finite.
#include <cmath>

#include "../core/op.h"

namespace protea {

inline void check_guard(const char* op, const Tensor& guard, Dtype dtype) {
  check(!guard || (guard.shape.elements() == 1 && guard.dtype == dtype), Code::Shape, op,
        " guard must be one number of the type of what is changed, got ", guard.shape);
}

template <class T>
bool lets_through(const Array& guard) {
  return !guard || std::isfinite(*guard.as<T>());
}

}  // namespace protea

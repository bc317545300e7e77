#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <span>

#include "error.h"

namespace protea {

// Up to five dimensions, row-major and contiguous; () is a scalar.
class Shape {
 public:
  static constexpr int max_rank = 5;

  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const int64_t> dims) : rank_(static_cast<int>(dims.size())) {
    check(dims.size() <= max_rank, Code::Shape, "a tensor has at most ", max_rank,
          " dimensions, got ", dims.size());
    for (size_t i = 0; i < dims.size(); i++) dims_[i] = dims[i];
  }

  int rank() const { return rank_; }
  // dim(-1) is the last dimension.
  int64_t dim(int i) const { return dims_[i < 0 ? rank_ + i : i]; }
  std::span<const int64_t> dims() const { return {dims_.data(), static_cast<size_t>(rank_)}; }

  int64_t elements() const {
    int64_t n = 1;
    for (int64_t d : dims()) n *= d;
    return n;
  }

  // The number of rows when the last dimension is taken as columns.
  int64_t rows() const {
    int64_t n = 1;
    for (int i = 0; i + 1 < rank_; i++) n *= dims_[i];
    return n;
  }

  // The same shape with another last dimension.
  Shape with_last(int64_t size) const {
    Shape result = *this;
    result.dims_[rank_ - 1] = size;
    return result;
  }

  bool operator==(const Shape& other) const {
    if (rank_ != other.rank_) return false;
    for (int i = 0; i < rank_; i++)
      if (dims_[i] != other.dims_[i]) return false;
    return true;
  }

 private:
  std::array<int64_t, max_rank> dims_{};
  int rank_ = 0;
};

inline std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << "(";
  for (int i = 0; i < shape.rank(); i++) out << (i ? ", " : "") << shape.dim(i);
  return out << ")";
}

}  // namespace protea

#pragma once
#include <cstdint>
#include <memory>

#include "arena.h"
#include "ceil_div.h"
#include "dtype.h"
#include "shape.h"

namespace protea {

enum class Device : uint8_t { Cpu, Cuda };

constexpr const char* name_of(Device device) { return device == Device::Cuda ? "cuda" : "cpu"; }

struct Storage;

// The numbers of a value in bf16, as products on a GPU read them. Rows of `columns` numbers are
// filled up with zeros to whole 16 bytes.
struct Rounded {
  std::shared_ptr<Storage> storage;  // null: not made since the value changed
  int64_t columns = 0;
};
constexpr int64_t rounded_row(int64_t columns) { return ceil_div(columns, 8) * 8; }

// A block of an arena. `recorded` counts the tape nodes whose backward will still read it: a value
// in use there must not be changed in place.
struct Storage {
  Storage(Arena& arena, size_t bytes) : arena(arena), bytes(bytes), data(arena.allocate(bytes)) {}
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  ~Storage() { arena.release(data, bytes); }

  Arena& arena;
  const size_t bytes;
  void* const data;
  int recorded = 0;
  Rounded rounded;
};

// What a kernel sees: a contiguous, row-major block it does not own. Not given: without data, so
// `as` is null.
struct Array {
  void* data = nullptr;
  Shape shape;
  Dtype dtype = Dtype::F32;
  bool given = false;
  void* rounded = nullptr;  // as Rounded, where it is made

  explicit operator bool() const { return given; }
  int64_t size() const { return shape.elements(); }
  int64_t dim(int i) const { return shape.dim(i); }
  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
};

// A shared handle to a value. Copies share data and identity; ids are never reused.
struct Tensor {
  Shape shape;
  Dtype dtype = Dtype::F32;
  Device device = Device::Cpu;
  uint64_t id = 0;
  std::shared_ptr<Storage> storage;

  explicit operator bool() const { return id != 0; }
  int rank() const { return shape.rank(); }
  int64_t dim(int i) const { return shape.dim(i); }
  int64_t columns() const { return rank() ? dim(-1) : 1; }
  size_t bytes() const { return static_cast<size_t>(shape.elements()) * size_of(dtype); }
  Array array() const {
    if (!storage) return {nullptr, shape, dtype, id != 0};
    const Rounded& kept = storage->rounded;
    bool fits = kept.storage && kept.columns == columns();
    return {storage->data, shape, dtype, id != 0, fits ? kept.storage->data : nullptr};
  }
};

}  // namespace protea

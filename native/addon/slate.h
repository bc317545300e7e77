#pragma once
// Numbers that cross the boundary in memory both sides see, because a call of Node for each of them
// costs more than a small op. TypeScript writes what a call is given from the start on, and finds
// what it made there afterwards (lib/tensor/call.ts); a call is over before the next one begins.
#include <napi.h>

#include <span>

#include "../core/error.h"

namespace protea::addon {

class Slate {
 public:
  // From here on `numbers` is the slate.
  void use(Napi::Float64Array numbers) {
    kept_ = Napi::Persistent(numbers);
    numbers_ = {numbers.Data(), numbers.ElementLength()};
  }

  void rewind() { at_ = 0; }

  std::span<const double> take(size_t count) {
    check(count <= numbers_.size() - at_, Code::Unsupported, "[call] the slate is too short");
    at_ += count;
    return numbers_.subspan(at_ - count, count);
  }
  double take() { return take(1)[0]; }

  void put(double number) {
    check(at_ < numbers_.size(), Code::Unsupported, "[call] the slate is too short");
    numbers_[at_++] = number;
  }

 private:
  Napi::Reference<Napi::Float64Array> kept_;
  std::span<double> numbers_;
  size_t at_ = 0;
};

}  // namespace protea::addon

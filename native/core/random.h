#pragma once
#include <array>
#include <cmath>
#include <cstdint>

namespace protea {

// Counter-based random numbers: Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as
// easy as 1, 2, 3"). A stream is a pure function of its key, so crops, masks and orders do not
// depend on the number of workers, on the device, or on a restart.
struct Key {
  uint64_t seed = 0;
  uint32_t epoch = 0;
  uint32_t sample = 0;
  uint32_t purpose = 0;
};

// What a stream is drawn for. Values are part of the on-disk meaning of a seed: never renumber.
namespace purpose {
constexpr uint32_t init = 1, order = 2, crop = 3, drop_path = 4, mask = 5, procedural = 6, lab = 7,
                   dropped_patches = 8, tie = 9;
}

class Philox {
 public:
  explicit Philox(const Key& key)
      : key_{static_cast<uint32_t>(key.seed), static_cast<uint32_t>(key.seed >> 32)},
        counter_{0, key.epoch, key.sample, key.purpose} {}

  // The i-th block of four 32-bit words of this stream.
  std::array<uint32_t, 4> block(uint32_t index) const {
    std::array<uint32_t, 4> c = counter_;
    std::array<uint32_t, 2> k = key_;
    c[0] = index;
    for (int round = 0; round < 10; round++) {
      uint64_t a = uint64_t{0xD2511F53} * c[0], b = uint64_t{0xCD9E8D57} * c[2];
      c = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(b),
           static_cast<uint32_t>(a >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(a)};
      k[0] += 0x9E3779B9;
      k[1] += 0xBB67AE85;
    }
    return c;
  }

  uint32_t next() {
    if (used_ == 4) buffer_ = block(index_++), used_ = 0;
    return buffer_[used_++];
  }

  // Uniform in [0, 1) with 53 random bits.
  double uniform() {
    uint64_t high = next(), low = next();
    return static_cast<double>(((high << 32) | low) >> 11) * 0x1.0p-53;
  }

  double uniform(double low, double high) { return low + (high - low) * uniform(); }

  // Uniform in {0, ..., n - 1}; the bias of the multiplication is below n / 2^64.
  uint32_t below(uint32_t n) {
    uint64_t high = next(), low = next();
    __extension__ typedef unsigned __int128 wide;
    return static_cast<uint32_t>((wide{(high << 32) | low} * n) >> 64);
  }

  bool chance(double probability) { return uniform() < probability; }

  // Standard normal by Box-Muller; one of the pair is thrown away to keep the stream stateless.
  double normal() {
    double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(6.283185307179586 * uniform());
  }

 private:
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> counter_;
  std::array<uint32_t, 4> buffer_{};
  uint32_t index_ = 0;
  int used_ = 4;
};

}  // namespace protea

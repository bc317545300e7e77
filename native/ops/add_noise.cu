#include "../cuda/map.cuh"

namespace protea {
namespace {

struct Stream {
  uint32_t key[2], counter[3];
};

// Philox 4x32-10, as core/random.h.
GPU_DEVICE void philox(const Stream& stream, uint32_t block, uint32_t (&c)[4]) {
  uint32_t k0 = stream.key[0], k1 = stream.key[1];
  c[0] = block;
  for (int i = 1; i < 4; i++) c[i] = stream.counter[i - 1];
  for (int round = 0; round < 10; round++) {
    uint32_t high = __umulhi(0xD2511F53u, c[0]), low = 0xD2511F53u * c[0];
    uint32_t other_high = __umulhi(0xCD9E8D57u, c[2]), other_low = 0xCD9E8D57u * c[2];
    c[0] = other_high ^ c[1] ^ k0;
    c[1] = other_low;
    c[2] = high ^ c[3] ^ k1;
    c[3] = low;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

// A uniform number in (0, 1) from the upper bits of a word.
GPU_DEVICE float uniform(uint32_t word) {
  return (static_cast<float>(word >> 9) + 0.5f) * 0x1.0p-23f;
}

struct Noisy {
  const float* x;
  float scale;
  Stream stream;
  GPU_DEVICE float operator()(int64_t i) const {
    uint32_t words[4];
    philox(stream, static_cast<uint32_t>(i / 4), words);
    int pair = static_cast<int>(i % 4 / 2);
    float radius = sqrtf(-2 * logf(uniform(words[2 * pair])));
    float turn = uniform(words[2 * pair + 1]);
    float n = radius * (i % 2 ? sinpif(2 * turn) : cospif(2 * turn));
    return x[i] + scale * n;
  }
};

Stream stream_of(const Attrs& attrs) {
  auto seed = static_cast<uint64_t>(attrs.integer("seed"));
  auto word = [&](const char* name) { return static_cast<uint32_t>(attrs.integer(name, 0)); };
  return {{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)},
          {word("epoch"), word("sample"), word("purpose")}};
}

void forward(const Run& run) {
  Noisy noisy{run.in[0].as<float>(), static_cast<float>(run.attrs.number("scale")),
              stream_of(run.attrs)};
  gpu::store(Gpu::of(run), noisy, run.out[0].as<float>(), run.out[0].size());
}

void backward(const Run& run) {
  gpu::store(Gpu::of(run), gpu::Same{run.dout[0].as<float>()}, run.din[0]);
}

}  // namespace

extern const Kernel add_noise_cuda = {forward, backward};

}  // namespace protea

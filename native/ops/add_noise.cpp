// add_noise: y = x + scale n, n independent standard normal, a pure function of the key
//   x (...), attrs scale >= 0, seed, epoch, sample, purpose -> y (...)
//   saves nothing; dx = dy. Element i takes number i of the stream: four by Box-Muller from each
//   block of Philox, so any piece can be drawn alone. Box and Muller 1958; Salmon et al. 2011
#include <array>
#include <cmath>

#include "../core/op.h"
#include "../core/parallel.h"
#include "../core/random.h"

namespace protea {

Outputs add_noise_infer(std::span<const Tensor> in, const Attrs& attrs) {
  check(in.size() == 1 && is_floating(in[0].dtype), Code::Dtype,
        "[add_noise] takes one x of f32 or f64");
  check(attrs.number("scale") >= 0, Code::Unsupported, "[add_noise] scale must be >= 0, got ",
        attrs.number("scale"));
  Outputs outputs{{{in[0].shape, in[0].dtype}}};
  outputs.reads_in = outputs.reads_out = 0;
  return outputs;
}

namespace {

constexpr int64_t grain = 1 << 12;

// Four normals from four words: two radii, two angles.
std::array<double, 4> normals(const std::array<uint32_t, 4>& words) {
  std::array<double, 4> result;
  for (int pair = 0; pair < 2; pair++) {
    double u = (words[2 * pair] + 0.5) * 0x1.0p-32, v = words[2 * pair + 1] * 0x1.0p-32;
    double radius = std::sqrt(-2 * std::log(u)), angle = 6.283185307179586 * v;
    result[2 * pair] = radius * std::cos(angle);
    result[2 * pair + 1] = radius * std::sin(angle);
  }
  return result;
}

Key key_of(const Attrs& attrs) {
  auto word = [&](const char* name) { return static_cast<uint32_t>(attrs.integer(name, 0)); };
  return {static_cast<uint64_t>(attrs.integer("seed")), word("epoch"), word("sample"),
          word("purpose")};
}

void forward(const Run& run) {
  const Array& x = run.in[0];
  Philox random(key_of(run.attrs));
  double scale = run.attrs.number("scale");
  with_floating(x.dtype, [&]<class T>() {
    const T* from = x.as<T>();
    T* y = run.out[0].as<T>();
    parallel_for(x.size(), grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i += 4) {
        std::array<double, 4> n = normals(random.block(static_cast<uint32_t>(i / 4)));
        for (int64_t j = i; j < std::min(i + 4, end); j++)
          y[j] = static_cast<T>(from[j] + scale * n[j - i]);
      }
    });
  });
}

void backward(const Run& run) {
  const Gradient& dx = run.din[0];
  if (!dx) return;
  with_floating(run.dout[0].dtype, [&]<class T>() {
    const T* dy = run.dout[0].as<T>();
    for (int64_t i = 0; i < dx.array.size(); i++)
      dx.as<T>()[i] = dx.accumulate ? dx.as<T>()[i] + dy[i] : dy[i];
  });
}

}  // namespace

extern const Kernel add_noise_cpu = {forward, backward};

}  // namespace protea

// add_noise: y = x + scale n, n independent standard normal, a pure function of the key
//   x (...), attrs scale >= 0, seed, epoch, sample, purpose -> y (...)
//   saves nothing; dx = dy. Element i takes number i of the stream: four by Box-Muller from each
//   block of Philox, so any piece can be drawn alone. Box and Muller 1958; Salmon et al. 2011
#include "../core/op.h"
#include "../core/parallel.h"
#include "../core/scratch.h"
#include "../kernels/noise.h"

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

constexpr int64_t grain = 1 << 12;  // a multiple of the four numbers of a block

struct Stream {
  uint32_t key[2], counter[3];

  explicit Stream(const Attrs& attrs) {
    auto seed = static_cast<uint64_t>(attrs.integer("seed"));
    auto word = [&](const char* name) { return static_cast<uint32_t>(attrs.integer(name, 0)); };
    key[0] = static_cast<uint32_t>(seed);
    key[1] = static_cast<uint32_t>(seed >> 32);
    counter[0] = word("epoch");
    counter[1] = word("sample");
    counter[2] = word("purpose");
  }
};

void forward(const Run& run) {
  const Array& x = run.in[0];
  Stream stream(run.attrs);
  with_floating(x.dtype, [&]<class T>() {
    T scale = static_cast<T>(run.attrs.number("scale"));
    parallel_for(x.size(), grain, [&](int64_t begin, int64_t end) {
      float* n = scratch<float>(0, grain);
      noise().normals(stream.key, stream.counter, static_cast<uint32_t>(begin / 4),
                      (end - begin + 3) / 4, n);
      const T* from = x.as<T>() + begin;
      T* y = run.out[0].as<T>() + begin;
      for (int64_t i = 0; i < end - begin; i++) y[i] = from[i] + scale * static_cast<T>(n[i]);
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

#include "../cuda/map.cuh"

namespace protea {
namespace {

// A launch takes this many terms; longer sums go on with what is there.
constexpr size_t most = 8;

struct Terms {
  const float* x[most];
  float weight[most];
  int count;
  GPU_DEVICE float operator()(int64_t i) const {
    float sum = 0;
    for (int n = 0; n < count; n++) sum += weight[n] * x[n][i];
    return sum;
  }
};

struct Scaled {
  const float* dy;
  float weight;
  GPU_DEVICE float operator()(int64_t i) const { return weight * dy[i]; }
};

void forward(const Run& run) {
  std::span<const double> weights = run.attrs.list("weights");
  for (size_t begin = 0; begin < run.in.size(); begin += most) {
    Terms terms{};
    for (size_t n = begin; n < run.in.size() && n < begin + most; n++, terms.count++) {
      terms.x[terms.count] = run.in[n].as<float>();
      terms.weight[terms.count] = static_cast<float>(weights[n]);
    }
    gpu::store(Gpu::of(run), terms, run.out[0].as<float>(), run.out[0].size(), begin > 0);
  }
}

void backward(const Run& run) {
  std::span<const double> weights = run.attrs.list("weights");
  for (size_t n = 0; n < run.din.size(); n++)
    gpu::store(Gpu::of(run), Scaled{run.dout[0].as<float>(), static_cast<float>(weights[n])},
               run.din[n]);
}

}  // namespace

extern const Kernel weighted_sum_cuda = {forward, backward};

}  // namespace protea

#include "../cuda/map.cuh"
#include "../cuda/sums.cuh"

namespace protea {
namespace {

// What the branch is multiplied by at element i of (B, ..., D).
struct Scale {
  const float *gamma, *keep;  // null: 1
  float inverse;              // 1 / (1 - drop)
  int64_t D, per_image;       // elements
  GPU_DEVICE float image(int64_t i) const { return keep ? keep[i / per_image] * inverse : 1; }
  GPU_DEVICE float operator()(int64_t i) const { return image(i) * (gamma ? gamma[i % D] : 1); }
};

struct Value {
  const float *x, *branch;
  Scale scale;
  GPU_DEVICE float operator()(int64_t i) const { return x[i] + scale(i) * branch[i]; }
};

struct BranchSlope {
  const float* dy;
  Scale scale;
  GPU_DEVICE float operator()(int64_t i) const { return scale(i) * dy[i]; }
};

struct GammaTerm {
  const float *dy, *branch;
  Scale scale;
  GPU_DEVICE float operator()(int64_t i, int64_t j) const {
    int64_t at = i * scale.D + j;
    return scale.image(at) * dy[at] * branch[at];
  }
};

Scale scale_of(const Run& run) {
  auto given = [&](int i) { return run.in[i] ? run.in[i].as<float>() : nullptr; };
  const Array& x = run.in[0];
  return {given(2), given(3), static_cast<float>(1 / (1 - run.attrs.number("drop", 0))), x.dim(-1),
          x.dim(0) ? x.size() / x.dim(0) : 1};
}

void forward(const Run& run) {
  gpu::store(Gpu::of(run), Value{run.in[0].as<float>(), run.in[1].as<float>(), scale_of(run)},
             run.out[0].as<float>(), run.out[0].size());
}

void backward(const Run& run) {
  Gpu& gpu = Gpu::of(run);
  const float* dy = run.dout[0].as<float>();
  Scale scale = scale_of(run);
  gpu::store(gpu, gpu::Same{dy}, run.din[0]);
  gpu::store(gpu, BranchSlope{dy, scale}, run.din[1]);
  if (const Gradient& dgamma = run.din[2])
    gpu::column_sums(gpu, GammaTerm{dy, run.in[1].as<float>(), scale}, run.in[1].shape.rows(),
                     scale.D, dgamma.as<float>(), dgamma.accumulate);
}

}  // namespace

extern const Kernel residual_cuda = {forward, backward};

}  // namespace protea

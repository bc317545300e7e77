#include "../cuda/map.cuh"
#include "../cuda/sums.cuh"

namespace protea {
namespace {

// What the branch is multiplied by, in rows of D numbers.
struct Scale {
  const float *gamma, *keep;  // null: 1
  float inverse;              // 1 / (1 - drop)
  int64_t D, rows_per_image;
  GPU_DEVICE float of(int64_t row) const { return keep ? keep[row / rows_per_image] * inverse : 1; }
};

struct ValueOfRow {
  const float *x, *branch, *gamma;
  float scale;
  GPU_DEVICE float operator()(int64_t d) const {
    return x[d] + (gamma ? scale * gamma[d] : scale) * branch[d];
  }
};

struct Value {
  const float *x, *branch;
  Scale scale;
  GPU_DEVICE ValueOfRow row(int64_t i) const {
    return {x + i * scale.D, branch + i * scale.D, scale.gamma, scale.of(i)};
  }
};

struct SlopeOfRow {
  const float *dy, *gamma;
  float scale;
  GPU_DEVICE float operator()(int64_t d) const {
    return (gamma ? scale * gamma[d] : scale) * dy[d];
  }
};

struct BranchSlope {
  const float* dy;
  Scale scale;
  GPU_DEVICE SlopeOfRow row(int64_t i) const {
    return {dy + i * scale.D, scale.gamma, scale.of(i)};
  }
};

struct GammaTerm {
  const float *dy, *branch;
  Scale scale;
  GPU_DEVICE float operator()(int64_t i, int64_t j) const {
    int64_t at = i * scale.D + j;
    return scale.of(i) * dy[at] * branch[at];
  }
};

Scale scale_of(const Run& run) {
  auto given = [&](int i) { return run.in[i] ? run.in[i].as<float>() : nullptr; };
  const Array& x = run.in[0];
  return {given(2), given(3), static_cast<float>(1 / (1 - run.attrs.number("drop", 0))), x.dim(-1),
          x.dim(0) ? x.shape.rows() / x.dim(0) : 1};
}

void forward(const Run& run) {
  Value value{run.in[0].as<float>(), run.in[1].as<float>(), scale_of(run)};
  gpu::store_rows(Gpu::of(run), value, run.out[0].as<float>(), run.out[0].shape.rows(),
                  value.scale.D);
}

// The runtime asks for a gradient that is dy itself only where it is added to another one.
void backward(const Run& run) {
  Gpu& gpu = Gpu::of(run);
  const float* dy = run.dout[0].as<float>();
  Scale scale = scale_of(run);
  gpu::store(gpu, gpu::Same{dy}, run.din[0]);
  gpu::store_rows(gpu, BranchSlope{dy, scale}, run.din[1]);
  if (const Gradient& dgamma = run.din[2])
    gpu::column_sums(gpu, GammaTerm{dy, run.in[1].as<float>(), scale}, run.in[1].shape.rows(),
                     scale.D, dgamma.as<float>(), dgamma.accumulate);
}

}  // namespace

extern const Kernel residual_cuda = {forward, backward};

}  // namespace protea

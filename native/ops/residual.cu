#include "../cuda/map.cuh"
#include "../cuda/stored.cuh"
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

template <class T>
struct ValueOfRow {
  const float* x;
  const T* branch;
  const float* gamma;
  float scale;
  GPU_DEVICE float operator()(int64_t d) const {
    return x[d] + (gamma ? scale * gamma[d] : scale) * gpu::to_float(branch[d]);
  }
};

template <class T>
struct Value {
  const float* x;
  const T* branch;
  Scale scale;
  GPU_DEVICE ValueOfRow<T> row(int64_t i) const {
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

template <class T>
struct GammaTerm {
  const float* dy;
  const T* branch;
  Scale scale;
  GPU_DEVICE float operator()(int64_t i, int64_t j) const {
    int64_t at = i * scale.D + j;
    return scale.of(i) * dy[at] * gpu::to_float(branch[at]);
  }
};

Scale scale_of(const Run& run) {
  auto given = [&](int i) { return run.in[i].as<float>(); };
  const Array& x = run.in[0];
  return {given(2), given(3), static_cast<float>(1 / (1 - run.attrs.number("drop", 0))), x.dim(-1),
          x.dim(0) ? x.shape.rows() / x.dim(0) : 1};
}

void forward(const Run& run) {
  const Array &branch = run.in[1], &y = run.out[0];
  Scale scale = scale_of(run);
  gpu::with_stored(branch, [&]<class T>() {
    Value<T> value{run.in[0].as<float>(), branch.as<T>(), scale};
    gpu::store_rows(Gpu::of(run), value, y.as<float>(), y.shape.rows(), scale.D);
  });
}

template <class T>
void back_branch(const Run& run, const Scale& scale) {
  Gpu& gpu = Gpu::of(run);
  const float* dy = run.dout[0].as<float>();
  const Gradient &dbranch = run.din[1], &dgamma = run.din[2];
  int64_t rows = run.in[1].shape.rows();
  if (dbranch)
    gpu::store_rows(gpu, BranchSlope{dy, scale}, dbranch.as<T>(), rows, scale.D,
                    dbranch.accumulate);
  if (dgamma)
    gpu::column_sums(gpu, GammaTerm<T>{dy, run.in[1].as<T>(), scale}, rows, scale.D,
                     dgamma.as<float>(), dgamma.accumulate);
}

// The runtime asks for a gradient that is dy itself only where it is added to another one.
void backward(const Run& run) {
  gpu::store(Gpu::of(run), gpu::Same{run.dout[0].as<float>()}, run.din[0]);
  gpu::with_stored(run.in[1], [&]<class T>() { back_branch<T>(run, scale_of(run)); });
}

}  // namespace

extern const Kernel residual_cuda = {forward, backward};

}  // namespace protea

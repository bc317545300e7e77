#include "../cuda/map.cuh"
#include "../cuda/math.cuh"

namespace protea {
namespace {

struct ValueOfRow {
  const float* x;
  int64_t H;
  GPU_DEVICE float operator()(int64_t j) const {
    float a = x[j];
    return a * gpu::sigmoid(a) * x[H + j];
  }
};

struct Value {
  const float* x;
  int64_t H;
  GPU_DEVICE ValueOfRow row(int64_t i) const { return {x + i * 2 * H, H}; }
};

// da = dy b (s + a s (1 - s)), db = dy a s, s = sigmoid(a)
struct SlopeOfRow {
  const float *x, *dy;
  int64_t H;
  GPU_DEVICE float operator()(int64_t j) const {
    bool first = j < H;
    int64_t at = first ? j : j - H;
    float a = x[at], b = x[H + at], s = gpu::sigmoid(a);
    return first ? dy[at] * b * (s + a * s * (1 - s)) : dy[at] * a * s;
  }
};

struct Slope {
  const float *x, *dy;
  int64_t H;
  GPU_DEVICE SlopeOfRow row(int64_t i) const { return {x + i * 2 * H, dy + i * H, H}; }
};

void forward(const Run& run) {
  int64_t H = run.out[0].dim(-1);
  gpu::store_rows(Gpu::of(run), Value{run.in[0].as<float>(), H}, run.out[0].as<float>(),
                  run.out[0].shape.rows(), H);
}

void backward(const Run& run) {
  int64_t H = run.dout[0].dim(-1);
  gpu::store_rows(Gpu::of(run), Slope{run.in[0].as<float>(), run.dout[0].as<float>(), H},
                  run.din[0]);
}

}  // namespace

extern const Kernel swiglu_cuda = {forward, backward};

}  // namespace protea

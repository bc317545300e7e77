#include "../cuda/map.cuh"
#include "../cuda/math.cuh"

namespace protea {
namespace {

struct Value {
  const float* x;
  int64_t H;
  GPU_DEVICE float operator()(int64_t i) const {
    const float* a = x + i / H * 2 * H + i % H;
    return a[0] * gpu::sigmoid(a[0]) * a[H];
  }
};

// da = dy b (s + a s (1 - s)), db = dy a s, s = sigmoid(a)
struct Slope {
  const float *x, *dy;
  int64_t H;
  GPU_DEVICE float operator()(int64_t i) const {
    int64_t row = i / (2 * H), column = i % (2 * H);
    bool first = column < H;
    const float* pair = x + row * 2 * H + (first ? column : column - H);
    float a = pair[0], b = pair[H], s = gpu::sigmoid(a);
    float upstream = dy[row * H + (first ? column : column - H)];
    return first ? upstream * b * (s + a * s * (1 - s)) : upstream * a * s;
  }
};

void forward(const Run& run) {
  int64_t H = run.out[0].dim(-1);
  gpu::store(Gpu::of(run), Value{run.in[0].as<float>(), H}, run.out[0].as<float>(),
             run.out[0].size());
}

void backward(const Run& run) {
  int64_t H = run.dout[0].dim(-1);
  gpu::store(Gpu::of(run), Slope{run.in[0].as<float>(), run.dout[0].as<float>(), H}, run.din[0]);
}

}  // namespace

extern const Kernel swiglu_cuda = {forward, backward};

}  // namespace protea

#include "../cuda/map.cuh"
#include "../cuda/math.cuh"
#include "../cuda/stored.cuh"

namespace protea {
namespace {

template <class T>
struct ValueOfRow {
  const T* x;
  int64_t H;
  GPU_DEVICE float operator()(int64_t j) const {
    float a = gpu::to_float(x[j]);
    return a * gpu::sigmoid(a) * gpu::to_float(x[H + j]);
  }
};

template <class T>
struct Value {
  const T* x;
  int64_t H;
  GPU_DEVICE ValueOfRow<T> row(int64_t i) const { return {x + i * 2 * H, H}; }
};

// da = dy b (s + a s (1 - s)), db = dy a s, s = sigmoid(a)
template <class T>
struct SlopeOfRow {
  const T *x, *dy;
  int64_t H;
  GPU_DEVICE float operator()(int64_t j) const {
    bool first = j < H;
    int64_t at = first ? j : j - H;
    float a = gpu::to_float(x[at]), b = gpu::to_float(x[H + at]), g = gpu::to_float(dy[at]);
    float s = gpu::sigmoid(a);
    return first ? g * b * (s + a * s * (1 - s)) : g * a * s;
  }
};

template <class T>
struct Slope {
  const T *x, *dy;
  int64_t H;
  GPU_DEVICE SlopeOfRow<T> row(int64_t i) const { return {x + i * 2 * H, dy + i * H, H}; }
};

void forward(const Run& run) {
  const Array &x = run.in[0], &y = run.out[0];
  gpu::with_stored(x, [&]<class T>() {
    Value<T> value{x.as<T>(), y.dim(-1)};
    gpu::store_rows(Gpu::of(run), value, y.as<T>(), y.shape.rows(), y.dim(-1));
  });
}

void backward(const Run& run) {
  const Array &x = run.in[0], &dy = run.dout[0];
  const Gradient& dx = run.din[0];
  if (!dx) return;
  gpu::with_stored(x, [&]<class T>() {
    Slope<T> slope{x.as<T>(), dy.as<T>(), dy.dim(-1)};
    gpu::store_rows(Gpu::of(run), slope, dx.as<T>(), x.shape.rows(), x.dim(-1), dx.accumulate);
  });
}

}  // namespace

extern const Kernel swiglu_cuda = {forward, backward};

}  // namespace protea

#include "../cuda/map.cuh"

namespace protea {
namespace {

// Element i of dx: dy inside the slice, else 0.
struct Placed {
  const float* dy;
  int64_t begin, end;  // elements
  GPU_DEVICE float operator()(int64_t i) const { return i >= begin && i < end ? dy[i - begin] : 0; }
};

int64_t row_size(const Array& x) { return x.dim(0) ? x.size() / x.dim(0) : 0; }

void forward(const Run& run) {
  const float* from = run.in[0].as<float>() + run.attrs.integer("begin") * row_size(run.in[0]);
  gpu::store(Gpu::of(run), gpu::Same{from}, run.out[0].as<float>(), run.out[0].size());
}

void backward(const Run& run) {
  if (!run.din[0]) return;
  int64_t begin = run.attrs.integer("begin") * row_size(run.din[0].array);
  gpu::store(Gpu::of(run), Placed{run.dout[0].as<float>(), begin, begin + run.dout[0].size()},
             run.din[0]);
}

}  // namespace

extern const Kernel slice_rows_cuda = {forward, backward};

}  // namespace protea

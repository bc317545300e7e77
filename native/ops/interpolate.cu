#include <vector>

#include "../cuda/device.h"
#include "../kernels/taps.h"

namespace protea {
namespace {

// Of an axis: which positions of `from`, with which weights, each position of `to` is made of.
struct Axis {
  const int32_t *begin, *index;  // entries begin[i] ... begin[i + 1] belong to position i
  const float* weight;
};

struct Entries {
  std::vector<int32_t> begin, index;
  std::vector<float> weight;

  explicit Entries(const std::vector<std::vector<Tap>>& taps) {
    for (const std::vector<Tap>& of : taps) {
      begin.push_back(static_cast<int32_t>(index.size()));
      for (const Tap& tap : of) {
        index.push_back(static_cast<int32_t>(tap.index));
        weight.push_back(static_cast<float>(tap.weight));
      }
    }
    begin.push_back(static_cast<int32_t>(index.size()));
  }

  Axis on(Gpu& gpu, int slot) const {
    return {gpu.constants<int32_t>(slot, begin), gpu.constants<int32_t>(slot + 1, index),
            gpu.constants<float>(slot + 2, weight)};
  }
};

// planes x height x width x inner: (C, H, W, 1) or (1, H, W, C).
struct Grid4 {
  int64_t planes, height, width, inner;

  Grid4(const Shape& shape, bool channels_last)
      : planes(channels_last ? 1 : shape.dim(0)),
        height(shape.dim(channels_last ? 0 : 1)),
        width(shape.dim(channels_last ? 1 : 2)),
        inner(channels_last ? shape.dim(2) : 1) {}
  int64_t size() const { return planes * height * width * inner; }
};

__global__ void gather_kernel(Grid4 to_grid, Grid4 from_grid, Axis rows, Axis columns,
                              const float* from, float* to, bool accumulate) {
  int64_t size = to_grid.planes * to_grid.height * to_grid.width * to_grid.inner;
  for (int64_t i = gpu::first_index(); i < size; i += gpu::index_stride()) {
    int64_t c = i % to_grid.inner, x = i / to_grid.inner % to_grid.width;
    int64_t y = i / (to_grid.inner * to_grid.width) % to_grid.height;
    int64_t plane = i / (to_grid.inner * to_grid.width * to_grid.height);
    double sum = 0;
    for (int32_t r = rows.begin[y]; r < rows.begin[y + 1]; r++)
      for (int32_t s = columns.begin[x]; s < columns.begin[x + 1]; s++) {
        int64_t at =
            (plane * from_grid.height + rows.index[r]) * from_grid.width + columns.index[s];
        sum += static_cast<double>(rows.weight[r]) * columns.weight[s] *
               from[at * from_grid.inner + c];
      }
    gpu::put(to, i, static_cast<float>(sum), accumulate);
  }
}

using Taps = std::vector<std::vector<Tap>>;

Taps axis(int64_t in, int64_t out, const Attrs& attrs) {
  Filter filter = attrs.integer("bicubic") ? Filter::Bicubic : Filter::Bilinear;
  return axis_taps(in, out, filter, attrs.integer("antialias", 0), attrs.number("offset", 0));
}

// Seen from the input: the outputs each position goes into.
Taps reversed(const Taps& taps, int64_t in) {
  Taps result(in);
  for (size_t i = 0; i < taps.size(); i++)
    for (const Tap& tap : taps[i])
      result[tap.index].push_back({static_cast<int64_t>(i), tap.weight});
  return result;
}

struct Resampling {
  Grid4 in, out;
  Taps rows, columns;

  Resampling(const Shape& from, const Shape& to, const Attrs& attrs)
      : in(from, attrs.integer("channels_last", 0)),
        out(to, attrs.integer("channels_last", 0)),
        rows(axis(in.height, out.height, attrs)),
        columns(axis(in.width, out.width, attrs)) {}
};

void gather(Gpu& gpu, const Grid4& to_grid, const Grid4& from_grid, const Taps& rows,
            const Taps& columns, const float* from, float* to, bool accumulate) {
  GPU_LAUNCH(gpu, gather_kernel, gpu::cover(to_grid.size()), to_grid, from_grid,
             Entries(rows).on(gpu, 0), Entries(columns).on(gpu, 3), from, to, accumulate);
}

void forward(const Run& run) {
  Resampling s(run.in[0].shape, run.out[0].shape, run.attrs);
  gather(Gpu::of(run), s.out, s.in, s.rows, s.columns, run.in[0].as<float>(),
         run.out[0].as<float>(), false);
}

void backward(const Run& run) {
  const Gradient& dx = run.din[0];
  if (!dx) return;
  Resampling s(run.in[0].shape, run.dout[0].shape, run.attrs);
  gather(Gpu::of(run), s.in, s.out, reversed(s.rows, s.in.height), reversed(s.columns, s.in.width),
         run.dout[0].as<float>(), dx.as<float>(), dx.accumulate);
}

}  // namespace

extern const Kernel interpolate_cuda = {forward, backward};

}  // namespace protea

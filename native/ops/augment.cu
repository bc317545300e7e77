#include <algorithm>
#include <cmath>

#include "../cuda/device.h"
#include "../image/blur.h"
#include "../kernels/taps.h"
#include "augment.cuh"
#include "augment.h"

namespace protea {
namespace {

using augmentation::Canvas;
using augmentation::Change;

// How an axis of a box becomes one of the view: `stride` numbers for each position: the first level
// it takes, how many, and their weights in fixed point.
struct Axis {
  int length, stride;
  int32_t* taps;

  GPU_DEVICE void blend(int position, const uint8_t* from, int64_t step, uint8_t* to) const {
    const int32_t* of = taps + static_cast<int64_t>(position) * stride;
    weigh_pixels(of + 2, of[1], from + of[0] * step, step, to);
  }
};

// One view: its box among the pixels, and working memory.
struct View {
  const uint8_t* box;
  int64_t row;  // bytes from one row of the picture to the next
  Axis columns, rows;
  uint8_t* across;  // (rows.length, side, 3)
  int flipped, changes;
  Change change[image::most_changes];
};

// A block an axis of a view: blockIdx.y is 0 for columns, 1 for rows.
__global__ void taps_kernel(const View* views, int side) {
  const View& view = views[blockIdx.x];
  Axis axis = blockIdx.y ? view.rows : view.columns;
  double ratio = static_cast<double>(axis.length) / static_cast<double>(side);
  for (int i = static_cast<int>(threadIdx.x); i < side; i += static_cast<int>(blockDim.x)) {
    Window window = antialiased_window(ratio * (static_cast<double>(i) + 0.5), ratio, axis.length,
                                       Filter::Bicubic);
    double sum = 0;
    for (int64_t j = window.first; j < window.end; j++) sum += window.weight(j);
    int32_t* to = axis.taps + static_cast<int64_t>(i) * axis.stride;
    to[0] = static_cast<int32_t>(window.first);
    to[1] = static_cast<int32_t>(window.end - window.first);
    for (int64_t j = window.first; j < window.end; j++)
      to[2 + j - window.first] = fixed_weight(window.weight(j) / sum);
  }
}

// The pixels of a view are shared by the blocks of its column of the grid.
GPU_DEVICE int64_t first_pixel() {
  return static_cast<int64_t>(blockIdx.y) * blockDim.x + threadIdx.x;
}
GPU_DEVICE int64_t pixel_stride() { return static_cast<int64_t>(gridDim.y) * blockDim.x; }

__global__ void across_kernel(const View* views, int side) {
  const View& view = views[blockIdx.x];
  int64_t pixels = static_cast<int64_t>(view.rows.length) * side;
  for (int64_t i = first_pixel(); i < pixels; i += pixel_stride())
    view.columns.blend(static_cast<int>(i % side), view.box + i / side * view.row, 3,
                       view.across + 3 * i);
}

// A flip goes with every change, so it is made here.
__global__ void down_kernel(const View* views, int side, uint8_t* levels) {
  const View& view = views[blockIdx.x];
  int64_t row = int64_t{3} * side;
  uint8_t* to = levels + blockIdx.x * row * side;
  for (int64_t i = first_pixel(); i < int64_t{side} * side; i += pixel_stride()) {
    int x = static_cast<int>(i % side), y = static_cast<int>(i / side);
    view.rows.blend(y, view.across + 3 * x, row,
                    to + y * row + 3 * (view.flipped ? side - 1 - x : x));
  }
}

struct Channels {
  image::Affine of[3];
};

// A block a view: levels and other are (M, side, side, 3), to is (M, 3, side, side).
__global__ void __launch_bounds__(1024)
    change_kernel(const View* views, int side, uint8_t* levels, uint8_t* other, Channels channels,
                  float* to) {
  const View& view = views[blockIdx.x];
  int64_t plane = int64_t{side} * side, begin = blockIdx.x * 3 * plane;
  Canvas canvas{levels + begin, other + begin, side};
  augmentation::change_all(view.change, view.changes, canvas);
  for (int64_t i = threadIdx.x; i < plane; i += blockDim.x)
    for (int c = 0; c < 3; c++)
      to[begin + c * plane + i] =
          static_cast<float>(canvas.at(static_cast<int>(i))[c]) * channels.of[c].scale +
          channels.of[c].shift;
}

// Nothing, for a blur too small to show.
void add_change(const image::Step& step, View& view) {
  double argument = step.arguments[0];
  Change change{step.kind, static_cast<float>(argument), 0, {}};
  if (step.kind == image::StepKind::Flip) {
    view.flipped ^= 1;
    return;
  }
  if (step.kind == image::StepKind::Hue) change.level = static_cast<int>(255 * argument);
  if (step.kind == image::StepKind::Solarize) change.level = static_cast<int>(std::ceil(argument));
  if (step.kind == image::StepKind::BoxBlur) {
    std::optional<BoxFilter> box = image::box_filter(argument);
    if (!box) return;
    change.box = *box;
  }
  view.change[view.changes++] = change;
}

// The views of a call with their working memory.
struct Views {
  Gpu& gpu;
  int side;
  std::vector<View> views;
  std::vector<size_t> taps, across;  // where each view's begin; the last is the size of all
  int64_t most_pixels = 1;           // of a view, across

  explicit Views(const Run& run)
      : gpu(Gpu::of(run)), side(static_cast<int>(run.out[0].dim(2))), taps{0}, across{0} {
    for (const image::ViewPlan& plan : view_plans(run.attrs, run.in[0].size()))
      add(plan, run.in[0].as<uint8_t>() + plan.offset);
  }

  void add(const image::ViewPlan& plan, const uint8_t* picture) {
    const auto& cut = plan.steps[0].arguments;
    View view{};
    view.row = int64_t{3} * plan.width;
    view.box = picture + static_cast<int64_t>(cut[0]) * view.row + static_cast<int64_t>(3 * cut[1]);
    view.rows = axis(static_cast<int>(cut[2]));
    view.columns = axis(static_cast<int>(cut[3]));
    for (size_t i = 1; i < plan.steps.size(); i++) add_change(plan.steps[i], view);
    int64_t pixels = static_cast<int64_t>(view.rows.length) * side;
    taps.push_back(taps.back() +
                   static_cast<size_t>(view.columns.stride + view.rows.stride) * side);
    across.push_back(across.back() + 3 * static_cast<size_t>(pixels));
    most_pixels = std::max(most_pixels, pixels);
    views.push_back(view);
  }

  Axis axis(int length) const {
    return {length, 2 + most_taps(static_cast<double>(length) / side), nullptr};
  }

  const View* on_device() {
    auto* weights = gpu.scratch<int32_t>(1, taps.back());
    auto* bytes = gpu.scratch<uint8_t>(2, across.back());
    for (size_t v = 0; v < views.size(); v++) {
      views[v].columns.taps = weights + taps[v];
      views[v].rows.taps = weights + taps[v] + int64_t{views[v].columns.stride} * side;
      views[v].across = bytes + across[v];
    }
    return gpu.constants<View>(0, views);
  }

  // Blocks of 256 for the views' pixels, about four a thread.
  gpu::Grid cover(int64_t pixels) const {
    auto pieces = static_cast<unsigned>(std::clamp<int64_t>(ceil_div(pixels, 1024), 1, 1024));
    return {dim3(static_cast<unsigned>(views.size()), pieces), dim3(256)};
  }
};

void forward(const Run& run) {
  if (run.out[0].size() == 0) return;
  Views s(run);
  auto M = static_cast<unsigned>(s.views.size());
  int64_t pixels = int64_t{s.side} * s.side;
  const View* views = s.on_device();
  auto* levels = s.gpu.scratch<uint8_t>(3, 3 * pixels * M);
  auto* other = s.gpu.scratch<uint8_t>(4, 3 * pixels * M);
  Channels channels;
  for (size_t c = 0; c < 3; c++)
    channels.of[c] = image::affine_of(normalisation_of(run.attrs), c, 1.0 / 255);
  GPU_LAUNCH(s.gpu, taps_kernel, (gpu::Grid{dim3(M, 2), dim3(128)}), views, s.side);
  GPU_LAUNCH(s.gpu, across_kernel, s.cover(s.most_pixels), views, s.side);
  GPU_LAUNCH(s.gpu, down_kernel, s.cover(pixels), views, s.side, levels);
  auto threads = static_cast<unsigned>(std::min<int64_t>(ceil_div(pixels, 32) * 32, 1024));
  GPU_LAUNCH(s.gpu, change_kernel, (gpu::Grid{dim3(M), dim3(threads)}), views, s.side, levels,
             other, channels, run.out[0].as<float>());
}

}  // namespace

extern const Kernel augment_cuda = {forward, nullptr};

}  // namespace protea

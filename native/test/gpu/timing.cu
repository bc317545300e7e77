// Times ops on the GPU as a caller meets them (tape, memory, kernels) by events in their stream:
// `protea-native-test bench [FILTER]` prints a JSON line a case, for bench/gpu/bench.py.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>

#include "../../core/random.h"
#include "../../core/runtime.h"
#include "../../cuda/device.h"
#include "../../image/plan.h"
#include "../check.h"

namespace protea {
namespace {

using gpu::check_cuda;

constexpr int fewest_runs = 5, most_runs = 20, most_together = 10;
constexpr float warm_up = 300, short_run = 5, long_enough = 1500;  // ms

// What is done again and again, and the tensors it is done with.
struct Work {
  std::string op, shape;  // shape: the inside of a JSON object
  std::function<void()> once;
};

class Bench {
 public:
  Bench() : gpu_(static_cast<Gpu&>(runtime_.accelerator())) {
    for (cudaEvent_t* event : {&begin_, &end_})
      check_cuda(cudaEventCreateWithFlags(event, 0), "cudaEventCreate");
  }
  ~Bench() {
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
  }

  // Numbers of about unit length a row, the same in every run.
  Tensor uniform(const Shape& shape, double bound, bool watched = false) {
    Tensor tensor = runtime_.make(shape, Dtype::F32, Device::Cuda);
    Philox random({11, 0, seed_++, 0});
    std::vector<float> values(shape.elements());
    for (float& value : values) value = static_cast<float>(random.uniform(-bound, bound));
    runtime_.write(tensor, values.data());
    if (watched) runtime_.tape().watch(tensor);
    return tensor;
  }

  Tensor bytes(int64_t count) {
    Tensor tensor = runtime_.make({count}, Dtype::U8, Device::Cuda);
    Philox random({11, 0, seed_++, 0});
    std::vector<uint8_t> values(count);
    for (uint8_t& value : values) value = static_cast<uint8_t>(random.uniform(0, 256));
    runtime_.write(tensor, values.data());
    return tensor;
  }

  Runtime& runtime() { return runtime_; }

  void run(const Work& work, Precision precision) {
    runtime_.set_precision(precision);
    int together = warm(work);
    runtime_.arena(Device::Cuda).reset_peak();
    size_t before = runtime_.arena(Device::Cuda).use().live;
    std::vector<float> times;
    float spent = 0;
    auto runs = [&] { return static_cast<int>(times.size()); };
    while (runs() < fewest_runs || (runs() < most_runs && spent < long_enough)) {
      times.push_back(time_of(work, together));
      spent += times.back() * static_cast<float>(together);
    }
    std::sort(times.begin(), times.end());
    size_t bytes = runtime_.arena(Device::Cuda).use().peak - before + gpu_.working_bytes();
    std::printf(
        "{\"op\":\"%s\",\"shape\":{%s},\"precision\":\"%s\",\"ms_median\":%.5f,\"ms_min\":%.5f,"
        "\"bytes\":%zu}\n",
        work.op.c_str(), work.shape.c_str(), precision == Precision::F32 ? "f32" : "bf16",
        times[times.size() / 2], times[0], bytes);
  }

 private:
  // Until the clock of an idle card has risen. Returns how many calls are timed together: short
  // ones several, so that the wait for the first launch is not counted for each.
  int warm(const Work& work) {
    time_of(work, 1);  // memory and kernels are fetched
    float spent = 0, last = 0;
    do spent += last = time_of(work, 1);
    while (spent < warm_up);
    auto wanted = static_cast<int>(std::ceil(short_run / std::max(last, 1e-3f)));
    return std::clamp(wanted, 1, most_together);
  }

  // Milliseconds of one of `together` calls.
  float time_of(const Work& work, int together) {
    record(begin_);
    for (int i = 0; i < together; i++) work.once();
    record(end_);
    runtime_.wait();
    check_cuda(cudaEventSynchronize(end_), "cudaEventSynchronize");
    float ms = 0;
    check_cuda(cudaEventElapsedTime(&ms, begin_, end_), "cudaEventElapsedTime");
    return ms / static_cast<float>(together);
  }

  void record(cudaEvent_t event) {
    runtime_.queue().push([this, event] {
      check_cuda(cudaEventRecord(event, gpu_.direct_stream()), "cudaEventRecord");
    });
  }

  Runtime runtime_;
  Gpu& gpu_;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
  uint32_t seed_ = 0;
};

std::string field(const char* name, int64_t value) {
  return std::string("\"") + name + "\":" + std::to_string(value);
}

// DINO's loss over two global and eight local views, forward and backward to rows and prototypes.
Work cross_entropy(Bench& bench, int64_t images, int64_t K) {
  constexpr int64_t P = 256, views = 10, teacher_views = 2;
  double bound = 1.7 / 16;
  Tensor z = bench.uniform({views * images, P}, bound, true),
         w = bench.uniform({K, P}, bound, true);
  std::vector<Tensor> in = {z,
                            w,
                            {},
                            bench.uniform({teacher_views * images, P}, bound),
                            bench.uniform({K, P}, bound),
                            bench.uniform({K}, 0.1),
                            {}};
  std::vector<double> pairs(views * teacher_views, 1.0 / static_cast<double>(18 * images));
  pairs[0] = pairs[teacher_views + 1] = 0;
  Attrs attrs;
  attrs.set("views", views);
  attrs.set("teacher_views", teacher_views);
  attrs.set("pairs", pairs);
  attrs.set("student_temperature", 0.1);
  attrs.set("teacher_temperature", 0.04);
  auto once = [&bench, in, attrs] {
    Runtime& runtime = bench.runtime();
    // As in training, where both networks' prototypes have changed since the last step.
    for (size_t w : {1, 4}) in[w].storage->rounded = {};
    std::vector<Tensor> wanted = {in[0], in[1]};
    runtime.backward(runtime.call(op("prototype_cross_entropy"), in, attrs)[0], wanted);
  };
  return {"prototype_cross_entropy", field("images", images) + "," + field("prototypes", K), once};
}

Work koleo(Bench& bench, int64_t K) {
  Tensor w = bench.uniform({K, 256}, 1.7 / 16, true);
  Attrs attrs;
  attrs.set("eps", 1e-8);
  attrs.set("norm_eps", 1e-8);
  attrs.set("pairwise_eps", 0.0);
  attrs.set("min_distance", 1e-3);
  auto once = [&bench, w, attrs] {
    Runtime& runtime = bench.runtime();
    runtime.backward(runtime.call(op("koleo"), {w}, attrs)[0], std::vector<Tensor>{w});
  };
  return {"koleo", field("prototypes", K), once};
}

// Three iterations over a batch of teacher rows, its logits included.
Work sinkhorn(Bench& bench, int64_t rows, int64_t K) {
  std::vector<Tensor> in = {bench.uniform({rows, 256}, 1.7 / 16),
                            bench.uniform({K, 256}, 1.7 / 16)};
  Attrs attrs;
  attrs.set("temperature", 0.05);
  attrs.set("iterations", int64_t{3});
  attrs.set("from_probabilities", int64_t{0});
  auto once = [&bench, in, attrs] { bench.runtime().call(op("prototype_sinkhorn"), in, attrs); };
  return {"prototype_sinkhorn", field("rows", rows) + "," + field("prototypes", K), once};
}

// A box of half the picture's sides, and every change there is.
image::ViewPlan plan(int64_t image, int height, int width) {
  using image::StepKind;
  double top = height / 5, left = width / 4, high = height / 2, wide = width / 2;
  return {image * 3 * height * width,
          width,
          height,
          {{StepKind::ResizedCrop, {top, left, high, wide}},
           {StepKind::Flip, {}},
           {StepKind::Brightness, {1.2}},
           {StepKind::Contrast, {0.8}},
           {StepKind::Saturation, {1.1}},
           {StepKind::Hue, {0.05}},
           {StepKind::BoxBlur, {1.3}},
           {StepKind::Solarize, {128}}}};
}

// `each` views of every picture at one size.
Attrs views(int64_t images, int64_t each, int size, int height, int width) {
  std::vector<double> numbers(images * each * image::plan_numbers);
  for (int64_t v = 0; v < images * each; v++)
    image::encode(plan(v / each, height, width), numbers.data() + v * image::plan_numbers);
  Attrs attrs;
  attrs.set("size", int64_t{size});
  attrs.set("mean", std::vector<double>(3, 0.45));
  attrs.set("std", std::vector<double>(3, 0.22));
  attrs.set("views", numbers);
  return attrs;
}

// Two global and eight local crops of each picture, from its bytes.
Work augment(Bench& bench, int64_t images, int global, int local, int height, int width) {
  Tensor pictures = bench.bytes(images * 3 * height * width);
  Attrs large = views(images, 2, global, height, width),
        small = views(images, 8, local, height, width);
  auto once = [&bench, pictures, large, small] {
    bench.runtime().call(op("augment"), {pictures}, large);
    bench.runtime().call(op("augment"), {pictures}, small);
  };
  return {"augment",
          field("images", images) + "," + field("global", global) + "," + field("local", local),
          once};
}

// Step and teacher of twelve blocks of ViT-S (width 384), or of a narrower one.
Work adamw(Bench& bench, int64_t width) {
  std::vector<Tensor> in = {Tensor{}};
  for (int block = 0; block < 12; block++)
    for (int64_t rows : {int64_t{1}, width, 3 * width, 4 * width, 4 * width}) {
      Shape shape{rows, width};
      for (int which = 0; which < 5; which++)
        in.push_back(which == 3 ? bench.runtime().make(shape, Dtype::F32, Device::Cuda)
                                : bench.uniform(shape, 0.1));
      bench.runtime().write(in[in.size() - 2], std::vector<float>(rows * width, 1e-3f).data());
    }
  size_t n = in.size() / 5;
  Attrs attrs;
  attrs.set("lr", std::vector<double>(n, 1e-4));
  attrs.set("weight_decay", std::vector<double>(n, 0.05));
  attrs.set("step", std::vector<double>(n, 10));
  attrs.set("clip_group", std::vector<double>(n, 0));
  attrs.set("clip", 3.0);
  attrs.set("beta1", 0.9);
  attrs.set("beta2", 0.999);
  attrs.set("eps", 1e-8);
  attrs.set("momentum", 0.996);
  auto once = [&bench, in, attrs] { bench.runtime().call(op("adamw"), in, attrs); };
  return {"adamw", field("width", width), once};
}

}  // namespace

// The smallest of each kind is for a trial under emulation: its times mean nothing.
void run_bench(const std::string& filter) {
  using Make = std::function<Work(Bench&)>;
  const std::pair<std::string, Make> cases[] = {
      {"prototype_cross_entropy 256", [](Bench& b) { return cross_entropy(b, 2, 256); }},
      {"prototype_cross_entropy 65536", [](Bench& b) { return cross_entropy(b, 64, 65536); }},
      {"koleo 256", [](Bench& b) { return koleo(b, 256); }},
      {"koleo 65536", [](Bench& b) { return koleo(b, 65536); }},
      {"koleo 262144", [](Bench& b) { return koleo(b, 262144); }},
      {"adamw 16", [](Bench& b) { return adamw(b, 16); }},
      {"adamw 384", [](Bench& b) { return adamw(b, 384); }},
      {"prototype_sinkhorn 256", [](Bench& b) { return sinkhorn(b, 8, 256); }},
      {"prototype_sinkhorn 65536", [](Bench& b) { return sinkhorn(b, 128, 65536); }},
      {"augment 16", [](Bench& b) { return augment(b, 2, 16, 8, 24, 20); }},
      {"augment 224", [](Bench& b) { return augment(b, 64, 224, 96, 375, 500); }}};
  for (const auto& [name, make] : cases) {
    if (name.rfind(filter, 0) != 0) continue;
    Bench bench;
    Work work = make(bench);
    bench.run(work, Precision::F32);
    if (work.op.starts_with("prototype_")) bench.run(work, Precision::BF16);
  }
}

}  // namespace protea

// Work launched as CUDA graphs: the bits of work launched kernel by kernel, for every op;
// executable graphs found again where a step repeats; copies, failures and short memory in between.
#include <cmath>
#include <set>
#include <vector>

#include "../../core/runtime.h"
#include "../../cuda/device.h"
#include "../check.h"
#include "agreement/agreement.h"

namespace protea {
namespace {

using Values = std::vector<float>;

struct Stream {
  const char* name;
#ifndef __CUDACC__
  simt::Streams streams;
#endif
};

#ifdef __CUDACC__
constexpr Stream all_streams[] = {{"the device"}};
void use(const Stream&) {}
#else
constexpr Stream all_streams[] = {{"at once", simt::Streams::AtOnce},
                                  {"lazy", simt::Streams::Lazy},
                                  {"wandering", simt::Streams::Wander}};
void use(const Stream& stream) { simt::config.streams = stream.streams; }
#endif

const Recorder& recorder_of(Runtime& runtime) {
  return static_cast<Gpu&>(runtime.accelerator()).recorder();
}

// A network of two layers that learns: its step has products, sums over rows, constants that change
// (AdamW's) and masks (of `rows` rows).
struct Network {
  Runtime runtime;
  std::vector<Tensor> parameters, moments;
  int step = 0;

  Network() {
    for (const Shape& shape : {Shape{24, 16}, Shape{24}, Shape{16, 24}, Shape{16}}) {
      parameters.push_back(made(shape, static_cast<float>(parameters.size())));
      for (int i = 0; i < 2; i++) moments.push_back(made(shape, 0, 0));
    }
    for (const Tensor& parameter : parameters) runtime.tape().watch(parameter);
  }

  Tensor made(const Shape& shape, float phase, float scale = 1) {
    Tensor tensor = runtime.make(shape, Dtype::F32, Device::Cuda);
    Values values(static_cast<size_t>(shape.elements()));
    for (size_t i = 0; i < values.size(); i++)
      values[i] = scale * std::sin(phase + 0.7f * static_cast<float>(i));
    runtime.write(tensor, values.data());
    return tensor;
  }
  Tensor call(const char* name, std::vector<Tensor> in, Attrs attrs = {}) {
    return runtime.call(op(name), std::move(in), std::move(attrs))[0];
  }
  float read(const Tensor& tensor) {
    Values values(static_cast<size_t>(tensor.shape.elements()));
    runtime.read(tensor, values.data());
    runtime.wait();
    return values[0];
  }

  Tensor forward(const Tensor& x) {
    Tensor y = call("linear_gelu", {x, parameters[0], parameters[1]});
    return call("linear", {y, parameters[2], parameters[3]});
  }

  void update(const std::vector<Tensor>& gradients) {
    std::vector<Tensor> in = {{}};
    for (size_t i = 0; i < parameters.size(); i++)
      in.insert(in.end(), {parameters[i], gradients[i], moments[2 * i], moments[2 * i + 1], {}});
    Attrs attrs;
    std::vector<double> each(parameters.size(), 1);
    attrs.set("lr", std::vector<double>(each.size(), 0.1 / step));
    attrs.set("weight_decay", std::vector<double>(each.size(), 0.01));
    attrs.set("step", std::vector<double>(each.size(), step));
    attrs.set("clip_group", std::vector<double>(each.size(), -1));
    for (auto [name, value] : {std::pair{"beta1", 0.9}, {"beta2", 0.99}, {"eps", 1e-8}})
      attrs.set(name, {value});
    call("adamw", in, attrs);
  }

  // The loss before the step.
  float learn(int64_t rows) {
    step++;
    Tensor x = made({rows, 16}, static_cast<float>(step));
    for (int i = 0; i < 8; i++) x = call("residual", {x, forward(x), {}, {}});
    Tensor loss = call("dot", {x, made({rows, 16}, 1)});
    update(runtime.backward(loss, parameters));
    return read(loss);
  }
};

Values losses(Network& network, std::initializer_list<int64_t> rows) {
  Values found;
  for (int64_t r : rows) found.push_back(network.learn(r));
  return found;
}

// One case an op and precision: plain, recorded, and recorded once more.
void same_bits_for_every_op() {
  std::set<std::pair<std::string, Precision>> seen;
  for (const test::Case& c : test::agreement_cases()) {
    if (c.small_card || !op(c.op).cuda || !seen.insert({c.op, c.precision}).second) continue;
    Runtime runtime;
    auto run = [&](bool graphs) {
      runtime.set_graphs(graphs);
      return test::results(runtime, c, Device::Cuda, Dtype::F32);
    };
    auto plain = run(false), recorded = run(true), again = run(true);
    bool same = plain.size() == recorded.size() && plain.size() == again.size();
    for (size_t i = 0; same && i < plain.size(); i++)
      for (auto* other : {&recorded, &again})
        same = same && test::worst_error(c, (*other)[i].second, plain[i].second).value == 0;
    test::expect(same, test::name_of(c) + ": launched as graphs it gives other numbers");
    test::expect(recorder_of(runtime).launched() > 0, test::name_of(c) + ": nothing was recorded");
  }
}

void steps_repeat(const Stream& stream) {
  use(stream);
  Network plain, recorded;
  recorded.runtime.set_graphs(true);
  auto rows = {40, 40, 40, 7, 7, 40, 7};  // working memory has grown after the first of each
  Values expected, found;
  for (int64_t r : rows) expected.push_back(plain.learn(r));
  std::vector<size_t> built, launched;
  for (int64_t r : rows) {
    found.push_back(recorded.learn(r));
    built.push_back(recorder_of(recorded.runtime).built());
    launched.push_back(recorder_of(recorded.runtime).launched());
  }
  test::expect(found == expected, std::string("steps as graphs, streams: ") + stream.name);
  test::expect(launched[0] > 2, "a step of many ops is launched in stretches");
  test::expect(built[2] == built[1] && built[6] == built[4],
               "what repeats finds its executable graphs");
}

void survives_failures(const Stream& stream) {
  use(stream);
  Network plain, recorded;
  recorded.runtime.set_graphs(true);
  Values expected = losses(plain, {9, 9, 9});
  Values found = losses(recorded, {9});
  recorded.forward(recorded.made({5, 16}, 1));
  recorded.runtime.queue().push([] { throw Error(Code::OutOfMemory, "planted"); });
  recorded.forward(recorded.made({5, 16}, 1));
  bool failed = false;
  try {
    recorded.runtime.wait();
  } catch (const Error&) {
    failed = true;
  }
  for (float loss : losses(recorded, {9, 9})) found.push_back(loss);
  test::expect(failed && found == expected, "steps as graphs go on after a failure");
}

// Memory given back and working memory that grows, while work is recorded.
void survives_short_memory(const Stream& stream) {
  use(stream);
  Network network;
  network.runtime.set_graphs(true);
  float before = network.read(network.forward(network.made({9, 16}, 1)));
  Tensor small = network.forward(network.made({9, 16}, 1));
  network.forward(network.made({8000, 16}, 1));
  network.runtime.tape().clear();
  Arena& arena = network.runtime.arena(Device::Cuda);
  arena.set_limit(arena.use().live + arena.use().cached);
  Tensor large = network.forward(network.made({5000, 16}, 1));
  arena.set_limit(0);
  test::expect(network.read(small) == before && network.read(large) == before,
               "steps as graphs when memory is short");
}

}  // namespace

void test_graphs() {
  same_bits_for_every_op();
  for (const Stream& stream : all_streams) {
    steps_repeat(stream);
    survives_failures(stream);
    survives_short_memory(stream);
  }
  use(all_streams[0]);
}

}  // namespace protea

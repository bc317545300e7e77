// Every op's CUDA kernel against its CPU kernel in f64: values, gradients overwritten and added to.
// Emulated, each case runs under several schedules and must give the same bits.
#include "agreement.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>

#include "../../core/random.h"
#include "../../cuda/device.h"
#include "../check.h"

namespace protea {
namespace test {
namespace {

using Values = std::vector<double>;

// All that one execution reads and writes, on one device.
struct Side {
  Runtime& runtime;
  Device device;
  Dtype real;
  std::vector<Tensor> in, out, dout, din;
};

Dtype dtype_on(const Side& side, Dtype dtype) { return is_floating(dtype) ? side.real : dtype; }

void write(Side& side, const Tensor& tensor, const Values& values) {
  std::vector<char> bytes(tensor.bytes());
  for (size_t i = 0; i < values.size(); i++) {
    void* at = bytes.data() + i * size_of(tensor.dtype);
    auto put = [&]<class T>(T value) { std::memcpy(at, &value, sizeof value); };
    if (tensor.dtype == Dtype::F64) put(values[i]);
    if (tensor.dtype == Dtype::F32) put(static_cast<float>(values[i]));
    if (tensor.dtype == Dtype::I32) put(static_cast<int32_t>(values[i]));
    if (tensor.dtype == Dtype::U8) put(static_cast<uint8_t>(values[i]));
  }
  side.runtime.write(tensor, bytes.data());
}

Values read(Side& side, const Tensor& tensor) {
  std::vector<char> bytes(tensor.bytes());
  side.runtime.read(tensor, bytes.data());
  side.runtime.queue().wait();
  Values values(tensor.shape.elements());
  for (size_t i = 0; i < values.size(); i++) {
    const char* at = bytes.data() + i * size_of(tensor.dtype);
    auto get = [&]<class T>(T value) {
      std::memcpy(&value, at, sizeof value);
      return static_cast<double>(value);
    };
    if (tensor.dtype == Dtype::F64) values[i] = get(double());
    if (tensor.dtype == Dtype::F32) values[i] = get(float());
    if (tensor.dtype == Dtype::I32) values[i] = get(int32_t());
    if (tensor.dtype == Dtype::U8) values[i] = get(uint8_t());
  }
  return values;
}

// Values that f32 holds exactly, so both sides get the same.
Values drawn(const Input& input, uint32_t stream) {
  Philox random({7, 0, stream, 0});
  Values values(input.shape.elements());
  bool whole = !is_floating(input.dtype);
  for (double& value : values) {
    double x = random.uniform(input.low, input.high);
    value = whole ? std::floor(x) : static_cast<double>(static_cast<float>(x));
  }
  return values;
}

Tensor made(Side& side, const Shape& shape, Dtype dtype, const Values* values) {
  Tensor tensor = side.runtime.make(shape, dtype_on(side, dtype), side.device);
  if (values) write(side, tensor, *values);
  return tensor;
}

std::vector<Array> arrays(const std::vector<Tensor>& tensors) {
  std::vector<Array> result;
  for (const Tensor& tensor : tensors) result.push_back(tensor.array());
  return result;
}

Attrs attrs_of(const Case& c) {
  Attrs attrs;
  for (const auto& [name, values] : c.attrs) attrs.set(name, values);
  return attrs;
}

void make_inputs(Side& side, const Case& c) {
  for (size_t i = 0; i < c.in.size(); i++) {
    if (!c.in[i].given) {
      side.in.push_back({});
      continue;
    }
    Values values = drawn(c.in[i], static_cast<uint32_t>(i));
    side.in.push_back(made(side, c.in[i].shape, c.in[i].dtype, &values));
  }
}

Outputs run_forward(Side& side, const Case& c) {
  const Op& found = op(c.op);
  Attrs attrs = attrs_of(c);
  Outputs outputs = found.infer(side.in, attrs);
  for (const Spec& spec : outputs.specs)
    side.out.push_back(side.runtime.make(spec.shape, spec.dtype, side.device));
  Accelerator* on = side.device == Device::Cuda ? &side.runtime.accelerator() : nullptr;
  side.runtime.queue().push([&, on] {
    found.kernel(side.device).forward({arrays(side.in), arrays(side.out), {}, {}, attrs, on});
  });
  side.runtime.queue().wait();
  return outputs;
}

// What backward said it does not read is kept from it.
std::vector<Array> kept(const std::vector<Tensor>& tensors, uint64_t reads) {
  std::vector<Array> result = arrays(tensors);
  for (size_t i = 0; i < result.size(); i++)
    if (!(reads >> i & 1)) result[i].data = nullptr;
  return result;
}

void run_backward(Side& side, const Case& c, const Outputs& outputs, bool accumulate) {
  const Op& found = op(c.op);
  Attrs attrs = attrs_of(c);
  side.din.clear();
  side.dout.clear();
  std::vector<Gradient> din(side.in.size());
  for (size_t i = 0; i < side.in.size(); i++) {
    bool wanted = c.in[i].wanted && side.in[i] && is_floating(c.in[i].dtype);
    Values start(wanted ? c.in[i].shape.elements() : 0, 0.5);
    side.din.push_back(wanted
                           ? made(side, c.in[i].shape, c.in[i].dtype, accumulate ? &start : nullptr)
                           : Tensor{});
    if (wanted) din[i] = {side.din[i].array(), accumulate};
  }
  for (size_t i = 0; i < outputs.visible; i++) {
    Input upstream{side.out[i].shape, Dtype::F32, -1, 1};
    Values values = drawn(upstream, static_cast<uint32_t>(100 + i));
    side.dout.push_back(is_floating(side.out[i].dtype)
                            ? made(side, side.out[i].shape, Dtype::F32, &values)
                            : Tensor{});
  }
  Accelerator* on = side.device == Device::Cuda ? &side.runtime.accelerator() : nullptr;
  side.runtime.queue().push([&, on, din] {
    found.kernel(side.device)
        .backward({kept(side.in, outputs.reads_in), kept(side.out, outputs.reads_out),
                   arrays(side.dout), din, attrs, on});
  });
  side.runtime.queue().wait();
}

std::string name_of(const Case& c) {
  std::string name = c.op;
  for (const Input& input : c.in) {
    std::ostringstream shape;
    shape << " " << input.shape;
    name += input.given ? shape.str() : " -";
  }
  return name;
}

struct Worst {
  double value = 0;  // relative to the largest number of the array
  size_t at = 0;
};

Worst worst_error(const Case& c, const Values& got, const Values& truth) {
  double largest = c.least;
  Worst worst;
  for (double value : truth) largest = std::fmax(largest, std::fabs(value));
  for (size_t i = 0; i < truth.size(); i++) {
    double error = std::fabs(got[i] - truth[i]) / largest;
    bool same = got[i] == truth[i] || (std::isnan(got[i]) && std::isnan(truth[i]));
    if (std::isnan(error)) error = INFINITY;
    if (!same && error > worst.value) worst = {error, i};
  }
  return worst;
}

void compare(const Case& c, const std::string& what, const Values& got, const Values& truth) {
  auto [worst, at] = worst_error(c, got, truth);
  std::string text = name_of(c) + ": " + what;
  if (!(worst <= c.tolerance))
    text += ": at " + std::to_string(at) + " " + std::to_string(got[at]) + ", expected " +
            std::to_string(truth[at]) + ", error " + std::to_string(worst / c.tolerance) +
            " tolerances";
  expect(worst <= c.tolerance, text);
}

// Everything a case computes, by name.
std::vector<std::pair<std::string, Values>> results(Runtime& runtime, const Case& c, Device device,
                                                    Dtype real) {
  std::vector<std::pair<std::string, Values>> found;
  Side side{runtime, device, real, {}, {}, {}, {}};
  make_inputs(side, c);
  Outputs outputs = run_forward(side, c);
  for (size_t i = 0; i < outputs.visible; i++)
    if (!(c.skipped_outputs >> i & 1))
      found.emplace_back("output " + std::to_string(i), read(side, side.out[i]));
  for (size_t i : c.changed)
    found.emplace_back("changed " + std::to_string(i), read(side, side.in[i]));
  if (!op(c.op).kernel(device).backward) return found;
  for (bool accumulate : {false, true}) {
    run_backward(side, c, outputs, accumulate);
    for (size_t i = 0; i < side.din.size(); i++)
      if (side.din[i])
        found.emplace_back((accumulate ? "accumulated gradient " : "gradient ") + std::to_string(i),
                           read(side, side.din[i]));
  }
  return found;
}

// The schedules an emulated case runs under: one is enough for the race check, which does not
// depend on them. On hardware, two runs.
int schedules() {
#ifdef __CUDACC__
  return 2;
#else
  return simt::races_checked() ? 1 : 4;
#endif
}

void use_schedule(int i) {
#ifndef __CUDACC__
  simt::Order orders[] = {simt::Order::Forward, simt::Order::Reverse, simt::Order::Priority,
                          simt::Order::Random};
  simt::config.order = orders[i];
  simt::config.seed = static_cast<uint64_t>(i);
  simt::config.defer_copies = i != 1;
  simt::config.lazy = i == 2;
#else
  (void)i;
#endif
}

void run(const Case& c) {
  Runtime runtime;
  runtime.set_poison(true);
  runtime.arena(Device::Cuda).set_exact(true);
  auto truth = results(runtime, c, Device::Cpu, c.truth);
  std::vector<std::pair<std::string, Values>> first;
  for (int i = 0; i < schedules(); i++) {
    use_schedule(i);
    auto got = results(runtime, c, Device::Cuda, Dtype::F32);
    if (i == 0) {
      for (size_t j = 0; j < truth.size(); j++)
        compare(c, got[j].first, got[j].second, truth[j].second);
      first = got;
      continue;
    }
    for (size_t j = 0; j < got.size(); j++)
      expect(!std::memcmp(got[j].second.data(), first[j].second.data(),
                          first[j].second.size() * sizeof(double)),
             name_of(c) + ": " + got[j].first + ": other bits in run " + std::to_string(i));
  }
  use_schedule(0);
}

#ifndef __CUDACC__
// Gives the GPU what the CPU gives?
bool agrees(const Case& c) {
  Runtime runtime;
  runtime.set_poison(true);
  auto truth = results(runtime, c, Device::Cpu, c.truth);
  auto got = results(runtime, c, Device::Cuda, Dtype::F32);
  for (size_t i = 0; i < truth.size(); i++)
    if (worst_error(c, got[i].second, truth[i].second).value > c.tolerance) return false;
  return true;
}

// Does a check fail, or a schedule throw, when a wait is left out?
bool notices(const std::function<bool()>& check, simt::Site site) {
  for (simt::Order order : {simt::Order::Priority, simt::Order::Reverse}) {
    simt::config = {.order = order, .seed = 3, .skip = site};
    try {
      if (!check()) return true;
    } catch (const std::exception&) {
      return true;
    }
  }
  return false;
}

using Checks = std::vector<std::function<bool()>>;

// Every place where threads wait for each other, with the checks that come by.
std::map<simt::Site, Checks> waiting_places(const std::string& filter) {
  Checks checks;
  for (const Case& c : agreement_cases())
    if (op(c.op).cuda && c.op.rfind(filter, 0) == 0) checks.push_back([c] { return agrees(c); });
  if (filter.empty())
    for (bool (*check)() : waiting_checks()) checks.push_back(check);
  std::map<simt::Site, Checks> places;
  for (const auto& check : checks) {
    simt::visited_sites();
    check();
    for (simt::Site site : simt::visited_sites()) places[site].push_back(check);
  }
  return places;
}
#endif

}  // namespace
}  // namespace test

#ifndef __CUDACC__
// Leaves out each barrier, warp barrier and wait of the kernels in turn: each must be missed.
void test_removals(const std::string& filter) {
  for (const auto& [site, checks] : test::waiting_places(filter)) {
    bool found = false;
    for (const auto& check : checks) found = found || test::notices(check, site);
    simt::config = {};
    test::expect(found, std::string("nothing misses the wait at ") + site.name() + ":" +
                            std::to_string(site.line));
  }
}
#else
void test_removals(const std::string&) {}
#endif

void test_agreement(const std::string& filter) {
  for (const test::Case& c : test::agreement_cases()) {
    if (!op(c.op).cuda || c.op.rfind(filter, 0) != 0) continue;
    try {
      test::run(c);
    } catch (const std::exception& error) {
      test::expect(false, test::name_of(c) + ": " + error.what());
    }
  }
}

}  // namespace protea

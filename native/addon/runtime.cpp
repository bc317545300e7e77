// The runtime as a whole: modes, memory, threads, what this build holds.
#include "../core/parallel.h"
#include "../core/progress.h"
#include "../core/random.h"
#include "../core/scratch.h"
#include "../kernels/isa.h"
#include "context.h"

namespace protea::addon {
namespace {

using Info = const Napi::CallbackInfo&;

Napi::Value pause_tape(Context& context, Info info) {
  context.runtime.tape().paused++;
  return info.Env().Undefined();
}

Napi::Value resume_tape(Context& context, Info info) {
  context.runtime.tape().paused--;
  return info.Env().Undefined();
}

Napi::Value clear_tape(Context& context, Info info) {
  context.runtime.tape().clear();
  return info.Env().Undefined();
}

// memory(device)
Napi::Value memory(Context& context, Info info) {
  Device device = device_from(info[0]);
  const MemoryUse& use = context.runtime.arena(device).use();
  size_t scratch =
      device == Device::Cpu ? scratch_in_use() : context.runtime.accelerator().working_bytes();
  auto result = Napi::Object::New(info.Env());
  result.Set("tensors", static_cast<double>(context.handles.size()));
  result.Set("bytes", static_cast<double>(use.live));
  result.Set("cachedBytes", static_cast<double>(use.cached));
  result.Set("peakBytes", static_cast<double>(use.peak));
  result.Set("scratchBytes", static_cast<double>(scratch));
  return result;
}

Napi::Value reset_peak(Context& context, Info info) {
  context.runtime.arena(device_from(info[0])).reset_peak();
  return info.Env().Undefined();
}

// setMemoryLimit(bytes, device); 0 removes the limit.
Napi::Value set_memory_limit(Context& context, Info info) {
  auto bytes = static_cast<size_t>(info[0].As<Napi::Number>().Int64Value());
  context.runtime.arena(device_from(info[1])).set_limit(bytes);
  return info.Env().Undefined();
}

// gpu() -> what there is of a GPU and whether this build runs on it
Napi::Value gpu(Context&, Info info) {
  AcceleratorReport report = inspect_accelerator();
  auto result = Napi::Object::New(info.Env());
  result.Set("built", report.built);
  result.Set("ready", report.ready);
  result.Set("emulated", report.emulated);
  result.Set("reason", report.reason);
  result.Set("remedy", report.remedy);
  result.Set("name", report.name);
  result.Set("capability", report.capability);
  result.Set("products", report.products);
  result.Set("driver", report.driver);
  result.Set("runtime", report.runtime);
  result.Set("memory", static_cast<double>(report.memory));
  result.Set("processors", report.processors);
  return result;
}

// setPrecision('f32' | 'bf16') of products on the GPU, for the work queued from here on
Napi::Value set_precision(Context& context, Info info) {
  bool exact = info[0].As<Napi::String>().Utf8Value() == "f32";
  context.runtime.set_precision(exact ? Precision::F32 : Precision::BF16);
  return info.Env().Undefined();
}

// setGraphs(on): whether work on the GPU is launched as CUDA graphs
Napi::Value set_graphs(Context& context, Info info) {
  context.runtime.set_graphs(info[0].As<Napi::Boolean>());
  return info.Env().Undefined();
}

Napi::Value set_poison(Context& context, Info info) {
  context.runtime.set_poison(info[0].As<Napi::Boolean>());
  return info.Env().Undefined();
}

Napi::Value set_threads(Context&, Info info) {
  set_thread_count(info[0].As<Napi::Number>().Int32Value());
  return info.Env().Undefined();
}

Napi::Value threads(Context&, Info info) { return Napi::Number::New(info.Env(), thread_count()); }

// uniforms(seed, epoch, sample, purpose, count) -> Float64Array in [0, 1)
Napi::Value uniforms(Context&, Info info) {
  auto word = [&](int i) { return info[i].As<Napi::Number>().Uint32Value(); };
  Key key{static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value()), word(1), word(2),
          word(3)};
  Philox random(key);
  auto result = Napi::Float64Array::New(info.Env(), word(4));
  for (size_t i = 0; i < result.ElementLength(); i++) result[i] = random.uniform();
  return result;
}

// ops(device) -> the names of the ops with a kernel for it, in the order of ops/list.h
Napi::Value ops(Context&, Info info) {
  Device device = device_from(info[0]);
  auto result = Napi::Array::New(info.Env());
  uint32_t i = 0;
  for (const Op& op : all_ops())
    if (device == Device::Cpu || op.cuda) result.Set(i++, op.name);
  return result;
}

// progress() -> how far the long kernel that runs now has come, in [0, 1]
Napi::Value progress_now(Context&, Info info) { return Napi::Number::New(info.Env(), progress()); }

// isa() -> the instruction set that was chosen
Napi::Value isa(Context&, Info info) {
  return Napi::String::New(info.Env(), name_of(protea::isa()));
}

}  // namespace

void add_runtime_methods(Napi::Object exports, const std::shared_ptr<Context>& context) {
  add_method(exports, context, "pauseTape", pause_tape);
  add_method(exports, context, "resumeTape", resume_tape);
  add_method(exports, context, "clearTape", clear_tape);
  add_method(exports, context, "memory", memory);
  add_method(exports, context, "resetPeak", reset_peak);
  add_method(exports, context, "setMemoryLimit", set_memory_limit);
  add_method(exports, context, "setPrecision", set_precision);
  add_method(exports, context, "setGraphs", set_graphs);
  add_method(exports, context, "setPoison", set_poison);
  add_method(exports, context, "setThreads", set_threads);
  add_method(exports, context, "threads", threads);
  add_method(exports, context, "uniforms", uniforms);
  add_method(exports, context, "ops", ops);
  add_method(exports, context, "progress", progress_now);
  add_method(exports, context, "isa", isa);
  add_method(exports, context, "gpu", gpu);
}

}  // namespace protea::addon

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

Napi::Value memory(Context& context, Info info) {
  const MemoryUse& use = context.runtime.arena().use();
  auto result = Napi::Object::New(info.Env());
  result.Set("tensors", static_cast<double>(context.handles.size()));
  result.Set("bytes", static_cast<double>(use.live));
  result.Set("cachedBytes", static_cast<double>(use.cached));
  result.Set("peakBytes", static_cast<double>(use.peak));
  result.Set("scratchBytes", static_cast<double>(scratch_in_use()));
  return result;
}

Napi::Value reset_peak(Context& context, Info info) {
  context.runtime.arena().reset_peak();
  return info.Env().Undefined();
}

// setMemoryLimit(bytes); 0 removes the limit.
Napi::Value set_memory_limit(Context& context, Info info) {
  context.runtime.arena().set_limit(static_cast<size_t>(info[0].As<Napi::Number>().Int64Value()));
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

// ops() -> the names of all ops, in the order of ops/list.h
Napi::Value ops(Context&, Info info) {
  auto result = Napi::Array::New(info.Env());
  uint32_t i = 0;
  for (const Op& op : all_ops()) result.Set(i++, op.name);
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
  add_method(exports, context, "setPoison", set_poison);
  add_method(exports, context, "setThreads", set_threads);
  add_method(exports, context, "threads", threads);
  add_method(exports, context, "uniforms", uniforms);
  add_method(exports, context, "ops", ops);
  add_method(exports, context, "progress", progress_now);
  add_method(exports, context, "isa", isa);
}

}  // namespace protea::addon

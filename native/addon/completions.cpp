#include "completions.h"

#include <atomic>

namespace protea::addon {

struct Completions::Shared {
  Napi::ThreadSafeFunction function;
  int waiting = 0;  // JavaScript thread only
  std::atomic<bool> closed{false};
};

namespace {

struct Delivery {
  std::shared_ptr<Napi::Promise::Deferred> deferred;
  Completions::Settle settle;
  std::function<void(Napi::Env)> done;
};

// A throw here would end the process: an environment that is going down refuses every call.
void deliver(Napi::Env env, Napi::Function, Delivery* raw) {
  std::unique_ptr<Delivery> delivery(raw);
  if (!env) return;
  try {
    Napi::HandleScope scope(env);
    delivery->done(env);
    delivery->settle(env, *delivery->deferred);
  } catch (const Napi::Error&) {
  }
}

}  // namespace

Completions::Completions(Napi::Env env) : shared_(std::make_shared<Shared>()) {
  auto nothing = Napi::Function::New(env, [](const Napi::CallbackInfo&) {});
  shared_->function = Napi::ThreadSafeFunction::New(env, nothing, "protea", 0, 1);
  shared_->function.Unref(env);
}

Completions::~Completions() {
  shared_->closed = true;
  shared_->function.Release();
}

std::pair<Napi::Promise, std::function<void(Completions::Settle)>> Completions::begin(
    Napi::Env env) {
  auto deferred = std::make_shared<Napi::Promise::Deferred>(Napi::Promise::Deferred::New(env));
  Napi::Promise promise = deferred->Promise();
  if (shared_->waiting++ == 0) shared_->function.Ref(env);
  auto finish = [shared = shared_, deferred](Settle settle) {
    if (shared->closed) return;
    auto done = [shared](Napi::Env env) {
      if (--shared->waiting == 0) shared->function.Unref(env);
    };
    auto delivery = std::make_unique<Delivery>(deferred, std::move(settle), done);
    if (shared->function.NonBlockingCall(delivery.get(), deliver) == napi_ok) delivery.release();
  };
  return {promise, finish};
}

}  // namespace protea::addon

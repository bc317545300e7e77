#pragma once
#include <napi.h>

#include <functional>
#include <memory>

namespace protea::addon {

// Brings results of native threads back to JavaScript. While something is awaited the event loop is
// kept alive; otherwise the process may end.
class Completions {
 public:
  explicit Completions(Napi::Env env);
  ~Completions();

  using Settle = std::function<void(Napi::Env, Napi::Promise::Deferred&)>;

  // Starts a promise. The returned function may be called once, from any thread; `settle` then runs
  // on the JavaScript thread.
  std::pair<Napi::Promise, std::function<void(Settle)>> begin(Napi::Env env);

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace protea::addon

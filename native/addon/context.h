#pragma once
// Only addon/ includes napi.h. A Context is everything one Node environment owns.
#include <napi.h>

#include <memory>
#include <unordered_map>
#include <vector>

#include "../core/runtime.h"
#include "completions.h"
#include "slate.h"

namespace protea::addon {

// Integer handles of tensors, and the scopes that free them. Handles are never reused, so a freed
// one is always recognised.
class Handles {
 public:
  double add(Tensor tensor);
  // 0 stands for an input that is not given.
  const Tensor& at(double handle) const;
  Tensor free(double handle);  // freeing twice is fine: the second gives none
  size_t size() const { return tensors_.size(); }

  size_t open_scope();
  // Frees what the scope made, except `keep`, which passes to the scope around it.
  std::vector<Tensor> close_scope(size_t scope, const std::vector<double>& keep);

 private:
  uint64_t next_ = 1;
  std::unordered_map<uint64_t, Tensor> tensors_;
  std::vector<std::vector<uint64_t>> scopes_;
};

struct Context {
  explicit Context(Napi::Env env) : completions(env) {}

  // Destruction runs upwards: tensors give their memory back to the runtime before it goes; its
  // queue ends before what it would complete.
  Completions completions;
  Runtime runtime;
  Handles handles;
  Slate slate;
  std::vector<std::vector<std::string>> attribute_names;  // of calls, by number
};

// Adds one method to the exports. A protea::Error becomes a JavaScript error with its code.
using Method = Napi::Value (*)(Context&, const Napi::CallbackInfo&);
void add_method(Napi::Object exports, const std::shared_ptr<Context>& context, const char* name,
                Method method);

Napi::Error to_js(Napi::Env env, std::exception_ptr error);

// Conversions; each throws Code::Shape or Code::Dtype with what was expected.
Shape shape_from(const Napi::Value& value);
std::vector<double> numbers_from(const Napi::Value& value);
Dtype dtype_from(const Napi::Value& value);
Device device_from(const Napi::Value& value);
Napi::Object describe(Context& context, Napi::Env env, Tensor tensor);

// The parts of the boundary, one file each.
void add_tensor_methods(Napi::Object exports, const std::shared_ptr<Context>& context);
void add_runtime_methods(Napi::Object exports, const std::shared_ptr<Context>& context);
void add_image_methods(Napi::Object exports, const std::shared_ptr<Context>& context);
void add_view_methods(Napi::Object exports, const std::shared_ptr<Context>& context);

}  // namespace protea::addon

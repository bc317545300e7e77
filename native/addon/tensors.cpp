// Tensors across the boundary: make, call, differentiate, read, free.
#include <algorithm>

#include "context.h"

namespace protea::addon {
namespace {

using Info = const Napi::CallbackInfo&;

std::vector<Tensor> tensors_from(Context& context, const Napi::Value& handles) {
  std::vector<Tensor> tensors;
  for (double handle : numbers_from(handles)) tensors.push_back(context.handles.at(handle));
  return tensors;
}

// call(op, handles, attrs) -> [{id, shape, dtype}]
Napi::Value call(Context& context, Info info) {
  Attrs attrs;
  auto given = info[2].As<Napi::Object>();
  auto names = given.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); i++) {
    std::string name = Napi::Value(names.Get(i)).As<Napi::String>();
    attrs.set(name, numbers_from(given.Get(name)));
  }
  const Op& found = op(info[0].As<Napi::String>());
  std::vector<Tensor> out =
      context.runtime.call(found, tensors_from(context, info[1]), std::move(attrs));
  auto result = Napi::Array::New(info.Env(), out.size());
  for (uint32_t i = 0; i < out.size(); i++)
    result.Set(i, describe(context, info.Env(), std::move(out[i])));
  return result;
}

// make(shape, dtype, bytes, device): bytes is a typed array of the dtype; its contents are copied.
Napi::Value make(Context& context, Info info) {
  Device device = device_from(info[3]);
  Dtype dtype = dtype_from(info[1]);
  check(device == Device::Cpu || dtype != Dtype::F64, Code::Dtype,
        "[tensor] f64 is computed on the cpu only; use f32 on cuda");
  Tensor tensor = context.runtime.make(shape_from(info[0]), dtype, device);
  auto data = info[2].As<Napi::TypedArray>();
  check(data.ByteLength() == tensor.bytes(), Code::Shape, "[tensor] shape ", tensor.shape, " of ",
        protea::name_of(tensor.dtype), " needs ", tensor.bytes(), " bytes, got ",
        data.ByteLength());
  context.runtime.write(tensor, static_cast<char*>(data.ArrayBuffer().Data()) + data.ByteOffset());
  return describe(context, info.Env(), std::move(tensor));
}

// read(handle) -> Promise<ArrayBuffer>. Waits for the work before it.
Napi::Value read(Context& context, Info info) {
  Tensor tensor = context.handles.at(info[0].As<Napi::Number>());
  check(bool(tensor), Code::Disposed, "[read] no tensor given");
  auto buffer = std::make_shared<std::vector<char>>(tensor.bytes());
  auto [promise, finish] = context.completions.begin(info.Env());
  context.runtime.read(tensor, buffer->data());
  context.runtime.queue().report([buffer, finish = finish](std::exception_ptr error) {
    finish([buffer, error](Napi::Env env, Napi::Promise::Deferred& deferred) {
      if (error) return deferred.Reject(to_js(env, error).Value());
      auto result = Napi::ArrayBuffer::New(env, buffer->size());
      std::copy(buffer->begin(), buffer->end(), static_cast<char*>(result.Data()));
      deferred.Resolve(result);
    });
  });
  return promise;
}

Napi::Value reshape(Context& context, Info info) {
  const Tensor& x = context.handles.at(info[0].As<Napi::Number>());
  return describe(context, info.Env(), context.runtime.reshape(x, shape_from(info[1])));
}

Napi::Value watch(Context& context, Info info) {
  const Tensor& tensor = context.handles.at(info[0].As<Napi::Number>());
  check(is_floating(tensor.dtype), Code::Dtype, "[watch] only f32 and f64 have gradients, got ",
        protea::name_of(tensor.dtype));
  context.runtime.tape().watch(tensor);
  return info.Env().Undefined();
}

// backward(loss, handles) -> [{id, shape, dtype} | null]
Napi::Value backward(Context& context, Info info) {
  const Tensor& loss = context.handles.at(info[0].As<Napi::Number>());
  std::vector<Tensor> wrt = tensors_from(context, info[1]);
  std::vector<Tensor> gradients = context.runtime.backward(loss, wrt);
  auto result = Napi::Array::New(info.Env(), gradients.size());
  for (uint32_t i = 0; i < gradients.size(); i++) {
    if (gradients[i])
      result.Set(i, describe(context, info.Env(), std::move(gradients[i])));
    else
      result.Set(i, info.Env().Null());
  }
  return result;
}

Napi::Value free_tensor(Context& context, Info info) {
  double handle = info[0].As<Napi::Number>();
  // A watched tensor that is gone can be reached by nobody.
  if (handle != 0) context.handles.free(handle);
  return info.Env().Undefined();
}

Napi::Value open_scope(Context& context, Info info) {
  return Napi::Number::New(info.Env(), static_cast<double>(context.handles.open_scope()));
}

Napi::Value close_scope(Context& context, Info info) {
  auto scope = static_cast<size_t>(info[0].As<Napi::Number>().Int64Value());
  context.handles.close_scope(scope, numbers_from(info[1]));
  return info.Env().Undefined();
}

}  // namespace

void add_tensor_methods(Napi::Object exports, const std::shared_ptr<Context>& context) {
  add_method(exports, context, "call", call);
  add_method(exports, context, "make", make);
  add_method(exports, context, "read", read);
  add_method(exports, context, "reshape", reshape);
  add_method(exports, context, "watch", watch);
  add_method(exports, context, "backward", backward);
  add_method(exports, context, "free", free_tensor);
  add_method(exports, context, "openScope", open_scope);
  add_method(exports, context, "closeScope", close_scope);
}

}  // namespace protea::addon

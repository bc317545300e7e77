// Tensors across the boundary: make, call, differentiate, read, free.
#include <algorithm>

#include "context.h"

namespace protea::addon {
namespace {

using Info = const Napi::CallbackInfo&;

std::vector<Tensor> take_tensors(Context& context, size_t count) {
  std::vector<Tensor> tensors;
  tensors.reserve(count);
  for (double handle : context.slate.take(count)) tensors.push_back(context.handles.at(handle));
  return tensors;
}

// id, dtype, device, rank, dims; a tensor that is not there has id 0 and nothing else.
void put_tensor(Context& context, Tensor tensor) {
  Slate& slate = context.slate;
  if (!tensor) return slate.put(0);
  int rank = tensor.shape.rank();
  Shape shape = tensor.shape;
  auto dtype = static_cast<int>(tensor.dtype), device = static_cast<int>(tensor.device);
  slate.put(context.handles.add(std::move(tensor)));
  for (int number : {dtype, device, rank}) slate.put(number);
  for (int i = 0; i < rank; i++) slate.put(static_cast<double>(shape.dim(i)));
}

// useSlate(numbers)
Napi::Value use_slate(Context& context, Info info) {
  context.slate.use(info[0].As<Napi::Float64Array>());
  return info.Env().Undefined();
}

// names(list) -> a number that stands for these names of attributes
Napi::Value names(Context& context, Info info) {
  auto list = info[0].As<Napi::Array>();
  std::vector<std::string> names;
  for (uint32_t i = 0; i < list.Length(); i++)
    names.push_back(Napi::Value(list.Get(i)).As<Napi::String>());
  context.attribute_names.push_back(std::move(names));
  return Napi::Number::New(info.Env(), static_cast<double>(context.attribute_names.size() - 1));
}

// call(op, inputs, names) -> outputs: `op` by its place in ops(). Slate: handles of the inputs, and
// for each name how many numbers it has and the numbers; afterwards the outputs.
Napi::Value call(Context& context, Info info) {
  auto word = [&](int i) { return info[i].As<Napi::Number>().Uint32Value(); };
  Slate& slate = context.slate;
  slate.rewind();
  std::vector<Tensor> inputs = take_tensors(context, word(1));
  Attrs attrs;
  for (const std::string& name : context.attribute_names.at(word(2))) {
    auto count = static_cast<size_t>(slate.take());
    std::span<const double> numbers = slate.take(count);
    attrs.set(name, std::vector<double>(numbers.begin(), numbers.end()));
  }
  check(word(0) < all_ops().size(), Code::Unsupported, "[call] there is no op ", word(0));
  std::vector<Tensor> out =
      context.runtime.call(all_ops()[word(0)], std::move(inputs), std::move(attrs));
  slate.rewind();
  for (Tensor& tensor : out) put_tensor(context, std::move(tensor));
  return Napi::Number::New(info.Env(), static_cast<double>(out.size()));
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
  context.runtime.report([buffer, finish = finish](std::exception_ptr error) {
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

// backward(loss, count): slate: handles of what is asked for; afterwards their gradients.
Napi::Value backward(Context& context, Info info) {
  const Tensor& loss = context.handles.at(info[0].As<Napi::Number>());
  context.slate.rewind();
  std::vector<Tensor> wrt = take_tensors(context, info[1].As<Napi::Number>().Uint32Value());
  std::vector<Tensor> gradients = context.runtime.backward(loss, wrt);
  context.slate.rewind();
  for (Tensor& gradient : gradients) put_tensor(context, std::move(gradient));
  return info.Env().Undefined();
}

Napi::Value free_tensor(Context& context, Info info) {
  context.runtime.tape().unwatch(context.handles.free(info[0].As<Napi::Number>()));
  return info.Env().Undefined();
}

Napi::Value open_scope(Context& context, Info info) {
  return Napi::Number::New(info.Env(), static_cast<double>(context.handles.open_scope()));
}

Napi::Value close_scope(Context& context, Info info) {
  auto scope = static_cast<size_t>(info[0].As<Napi::Number>().Int64Value());
  for (const Tensor& freed : context.handles.close_scope(scope, numbers_from(info[1])))
    context.runtime.tape().unwatch(freed);
  return info.Env().Undefined();
}

}  // namespace

void add_tensor_methods(Napi::Object exports, const std::shared_ptr<Context>& context) {
  add_method(exports, context, "useSlate", use_slate);
  add_method(exports, context, "names", names);
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

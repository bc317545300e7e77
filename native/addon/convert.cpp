#include <new>

#include "context.h"

namespace protea::addon {
namespace {

const char* name_of(Code code) {
  switch (code) {
    case Code::Shape:
      return "ERR_PROTEA_SHAPE";
    case Code::Dtype:
      return "ERR_PROTEA_DTYPE";
    case Code::Device:
      return "ERR_PROTEA_DEVICE";
    case Code::OutOfMemory:
      return "ERR_PROTEA_OUT_OF_MEMORY";
    case Code::Unsupported:
      return "ERR_PROTEA_UNSUPPORTED";
    case Code::Disposed:
      return "ERR_PROTEA_DISPOSED";
    case Code::Data:
      return "ERR_PROTEA_DATA";
    case Code::Numeric:
      return "ERR_PROTEA_NUMERIC";
    case Code::Cuda:
      return "ERR_PROTEA_CUDA";
  }
  return "ERR_PROTEA_UNKNOWN";
}

Napi::Error coded(Napi::Env env, const char* message, Code code) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, name_of(code)));
  return error;
}

}  // namespace

Napi::Error to_js(Napi::Env env, std::exception_ptr error) {
  try {
    std::rethrow_exception(error);
  } catch (const Error& known) {
    return coded(env, known.what(), known.code);
  } catch (const std::bad_alloc&) {
    return coded(env, "out of memory in a kernel's working memory", Code::OutOfMemory);
  } catch (const std::exception& other) {
    return Napi::Error::New(env, other.what());
  }
}

void add_method(Napi::Object exports, const std::shared_ptr<Context>& context, const char* name,
                Method method) {
  auto guarded = [context, method](const Napi::CallbackInfo& info) -> Napi::Value {
    try {
      return method(*context, info);
    } catch (const Napi::Error&) {
      throw;
    } catch (const std::exception&) {
      throw to_js(info.Env(), std::current_exception());
    }
  };
  exports.Set(name, Napi::Function::New(exports.Env(), guarded, name));
}

std::vector<double> numbers_from(const Napi::Value& value) {
  check(value.IsArray(), Code::Unsupported, "expected an array of numbers");
  auto array = value.As<Napi::Array>();
  std::vector<double> numbers(array.Length());
  for (uint32_t i = 0; i < numbers.size(); i++)
    numbers[i] = Napi::Value(array.Get(i)).As<Napi::Number>().DoubleValue();
  return numbers;
}

Shape shape_from(const Napi::Value& value) {
  std::vector<int64_t> dims;
  for (double d : numbers_from(value)) {
    check(d >= 0 && d == static_cast<double>(static_cast<int64_t>(d)), Code::Shape,
          "dimensions must be whole numbers, got ", d);
    dims.push_back(static_cast<int64_t>(d));
  }
  return Shape(std::span<const int64_t>(dims));
}

Dtype dtype_from(const Napi::Value& value) {
  std::string name = value.As<Napi::String>();
  for (Dtype dtype : {Dtype::F32, Dtype::F64, Dtype::I32, Dtype::U8})
    if (name == protea::name_of(dtype)) return dtype;
  throw Error(Code::Dtype, "dtype must be f32, f64, i32 or u8, got " + name);
}

// Not given: the CPU.
Device device_from(const Napi::Value& value) {
  if (value.IsUndefined()) return Device::Cpu;
  std::string name = value.As<Napi::String>();
  for (Device device : {Device::Cpu, Device::Cuda})
    if (name == protea::name_of(device)) return device;
  throw Error(Code::Device, "device must be cpu or cuda, got " + name);
}

// {id, shape, dtype, device}: all that TypeScript keeps of a tensor.
Napi::Object describe(Context& context, Napi::Env env, Tensor tensor) {
  auto shape = Napi::Array::New(env, tensor.shape.rank());
  for (int i = 0; i < tensor.shape.rank(); i++)
    shape.Set(i, Napi::Number::New(env, static_cast<double>(tensor.shape.dim(i))));
  auto result = Napi::Object::New(env);
  result.Set("shape", shape);
  result.Set("dtype", protea::name_of(tensor.dtype));
  result.Set("device", protea::name_of(tensor.device));
  result.Set("id", context.handles.add(std::move(tensor)));
  return result;
}

}  // namespace protea::addon

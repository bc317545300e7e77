// Pictures across the boundary. All of it runs on Node's worker threads; nothing touches the
// runtime.
#include "../image/flora.h"
#include "../image/jpeg.h"
#include "../image/steps.h"
#include "pictures.h"

namespace protea::addon {
namespace {

using Info = const Napi::CallbackInfo&;

template <class T>
Napi::Value object_of(Napi::Env env, const image::Picture<T>& picture) {
  auto object = Napi::Object::New(env);
  object.Set("data", buffer_of(env, picture.pixels.data(), picture.pixels.size() * sizeof(T)));
  object.Set("width", picture.width);
  object.Set("height", picture.height);
  return object;
}

std::vector<image::Step> steps_from(const Napi::Value& value) {
  auto list = value.As<Napi::Array>();
  std::vector<image::Step> steps;
  for (uint32_t i = 0; i < list.Length(); i++) {
    std::vector<double> n = numbers_from(list.Get(i));
    check(!n.empty() && n.size() <= 9 && n[0] >= 0 &&
              n[0] <= static_cast<double>(image::StepKind::Solarize),
          Code::Unsupported, "[steps] step ", i, " is not a known kind with at most 8 arguments");
    image::Step step{static_cast<image::StepKind>(n[0]), {}};
    std::copy(n.begin() + 1, n.end(), step.arguments.begin());
    steps.push_back(step);
  }
  return steps;
}

// applySteps(picture, steps) -> Promise<{data: ArrayBuffer, width, height}> of RGB bytes
Napi::Value apply_steps(Context&, Info info) {
  image::PictureView from = picture_from(info[0]);
  auto result = std::make_shared<image::Picture<uint8_t>>();
  auto work = [from, steps = steps_from(info[1]), result] {
    *result = image::apply_all(from, steps);
  };
  return Job::start(info.Env(), info[0], work,
                    [result](Napi::Env env) { return object_of(env, *result); });
}

// applyFloatSteps(picture, steps) -> as applySteps, on values in [0, 1]: data holds floats
Napi::Value apply_float_steps(Context&, Info info) {
  image::PictureView from = picture_from(info[0]);
  auto result = std::make_shared<image::Picture<float>>(from.width, from.height);
  auto work = [from, steps = steps_from(info[1]), result] {
    for (size_t i = 0; i < result->pixels.size(); i++)
      result->pixels[i] = static_cast<float>(from.pixels[i]) / 255;
    for (const image::Step& step : steps) image::apply(*result, step);
  };
  return Job::start(info.Env(), info[0], work,
                    [result](Napi::Env env) { return object_of(env, *result); });
}

// flora(seed, label, sample, size) -> Promise<ArrayBuffer> of RGB bytes
Napi::Value flora(Context&, Info info) {
  auto seed = static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value());
  uint32_t label = info[1].As<Napi::Number>(), sample = info[2].As<Napi::Number>();
  int size = info[3].As<Napi::Number>();
  check(size >= 1 && size <= 4096, Code::Shape, "[flora] size must be in [1, 4096], got ", size);
  auto result = std::make_shared<image::Picture<uint8_t>>();
  auto work = [=] { *result = image::flora(seed, label, sample, size); };
  return Job::start(info.Env(), Napi::Object::New(info.Env()), work,
                    [result](Napi::Env env) -> Napi::Value {
                      return buffer_of(env, result->pixels.data(), result->pixels.size());
                    });
}

// decodeJpeg(bytes, maxPixels) -> Promise<{data: ArrayBuffer, width, height} | null> of RGB bytes;
// null: not a JPEG that this decoder takes, see image/jpeg.h
Napi::Value decode_jpeg(Context&, Info info) {
  auto bytes = info[0].As<Napi::TypedArray>();
  auto* data = static_cast<const uint8_t*>(bytes.ArrayBuffer().Data()) + bytes.ByteOffset();
  int64_t most = info[1].As<Napi::Number>();
  auto result = std::make_shared<std::optional<image::Picture<uint8_t>>>();
  auto work = [data, size = bytes.ByteLength(), most, result] {
    *result = image::decode_jpeg(data, size, most);
  };
  return Job::start(info.Env(), bytes, work, [result](Napi::Env env) -> Napi::Value {
    return *result ? object_of(env, **result) : env.Null();
  });
}

Napi::Value has_jpeg(Context&, Info info) {
  return Napi::Boolean::New(info.Env(), image::has_jpeg());
}

}  // namespace

void add_image_methods(Napi::Object exports, const std::shared_ptr<Context>& context) {
  add_method(exports, context, "applySteps", apply_steps);
  add_method(exports, context, "applyFloatSteps", apply_float_steps);
  add_method(exports, context, "flora", flora);
  add_method(exports, context, "decodeJpeg", decode_jpeg);
  add_method(exports, context, "hasJpeg", has_jpeg);
}

}  // namespace protea::addon

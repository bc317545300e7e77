// Pictures across the boundary. All of it runs on Node's worker threads; nothing touches the
// runtime.
#include <cstring>

#include "../image/flora.h"
#include "../image/jpeg.h"
#include "../image/views.h"
#include "context.h"

namespace protea::addon {
namespace {

using Info = const Napi::CallbackInfo&;

// Runs `work` on a worker thread, then `finish` on the JavaScript thread. What the work reads from
// JavaScript is held by `keep` until then.
class Job : public Napi::AsyncWorker {
 public:
  using Work = std::function<void()>;
  using Finish = std::function<Napi::Value(Napi::Env)>;

  static Napi::Value start(Napi::Env env, Napi::Value keep, Work work, Finish finish) {
    auto* job = new Job(env, keep, std::move(work), std::move(finish));
    Napi::Promise promise = job->deferred_.Promise();
    job->Queue();
    return promise;
  }

 private:
  Job(Napi::Env env, Napi::Value keep, Work work, Finish finish)
      : AsyncWorker(env),
        deferred_(env),
        keep_(Napi::Persistent(keep.As<Napi::Object>())),
        work_(std::move(work)),
        finish_(std::move(finish)) {}

  void Execute() override {
    try {
      work_();
    } catch (const std::exception&) {
      error_ = std::current_exception();
    }
  }

  void OnOK() override {
    if (error_)
      deferred_.Reject(to_js(Env(), error_).Value());
    else
      deferred_.Resolve(finish_(Env()));
  }

  Napi::Promise::Deferred deferred_;
  Napi::ObjectReference keep_;
  Work work_;
  Finish finish_;
  std::exception_ptr error_;
};

image::PictureView picture_from(const Napi::Value& value) {
  auto object = value.As<Napi::Object>();
  auto data = object.Get("data").As<Napi::TypedArray>();
  int width = object.Get("width").As<Napi::Number>(),
      height = object.Get("height").As<Napi::Number>();
  check(width > 0 && height > 0 && data.ByteLength() == size_t{3} * width * height, Code::Shape,
        "[picture] ", width, " x ", height, " pixels need ", int64_t{3} * width * height,
        " bytes of RGB, got ", data.ByteLength());
  return {static_cast<const uint8_t*>(data.ArrayBuffer().Data()) + data.ByteOffset(), width,
          height};
}

image::ViewRecipe recipe_from(const Napi::Value& value) {
  std::vector<double> n = numbers_from(value);
  check(n.size() == 16 && n[0] >= 1, Code::Shape, "[views] a recipe has 16 numbers, got ",
        n.size());
  return {static_cast<int>(n[0]),
          n[1],
          n[2],
          n[3],
          n[4],
          n[5],
          n[6],
          n[7],
          n[8],
          n[9],
          n[10],
          n[11],
          n[12],
          n[13],
          n[14],
          n[15]};
}

image::Normalisation normalisation_from(const Napi::Value& value) {
  std::vector<double> n = numbers_from(value);
  check(n.size() == 6, Code::Shape, "[views] normalisation is mean and std of 3 channels");
  return {{n[0], n[1], n[2]}, {n[3], n[4], n[5]}};
}

Napi::Value buffer_of(Napi::Env env, const void* data, size_t bytes) {
  auto buffer = Napi::ArrayBuffer::New(env, bytes);
  std::memcpy(buffer.Data(), data, bytes);
  return buffer;
}

template <class T>
Napi::Value object_of(Napi::Env env, const image::Picture<T>& picture) {
  auto object = Napi::Object::New(env);
  object.Set("data", buffer_of(env, picture.pixels.data(), picture.pixels.size() * sizeof(T)));
  object.Set("width", picture.width);
  object.Set("height", picture.height);
  return object;
}

image::ViewRequest request_from(Info info) {
  image::ViewRequest request{};
  auto pictures = info[0].As<Napi::Array>(), recipes = info[1].As<Napi::Array>();
  for (uint32_t i = 0; i < pictures.Length(); i++)
    request.pictures.push_back(picture_from(pictures.Get(i)));
  for (uint32_t i = 0; i < recipes.Length(); i++)
    request.recipes.push_back(recipe_from(recipes.Get(i)));
  request.normalisation = normalisation_from(info[2]);
  auto key = info[3].As<Napi::Object>();
  request.seed = static_cast<uint64_t>(key.Get("seed").As<Napi::Number>().Int64Value());
  request.epoch = key.Get("epoch").As<Napi::Number>();
  for (double sample : numbers_from(key.Get("samples")))
    request.samples.push_back(static_cast<uint32_t>(sample));
  check(request.samples.size() == request.pictures.size(), Code::Shape,
        "[views] each picture needs its sample number");
  return request;
}

// makeViews(pictures, recipes, normalisation, {seed, epoch, samples}) -> Promise<ArrayBuffer[]>,
// one (samples, 3, size, size) f32 a recipe.
Napi::Value make_views(Context&, Info info) {
  auto request = std::make_shared<image::ViewRequest>(request_from(info));
  auto views = std::make_shared<std::vector<std::vector<float>>>();
  auto work = [request, views] {
    std::vector<float*> to;
    for (const image::ViewRecipe& recipe : request->recipes)
      views->emplace_back(request->pictures.size() * 3 * recipe.size * recipe.size);
    for (std::vector<float>& view : *views) to.push_back(view.data());
    image::make_views(*request, to);
  };
  return Job::start(info.Env(), info[0], work, [views](Napi::Env env) -> Napi::Value {
    auto result = Napi::Array::New(env, views->size());
    for (uint32_t v = 0; v < views->size(); v++)
      result.Set(v, buffer_of(env, (*views)[v].data(), (*views)[v].size() * sizeof(float)));
    return result;
  });
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
  add_method(exports, context, "makeViews", make_views);
  add_method(exports, context, "applySteps", apply_steps);
  add_method(exports, context, "applyFloatSteps", apply_float_steps);
  add_method(exports, context, "flora", flora);
  add_method(exports, context, "decodeJpeg", decode_jpeg);
  add_method(exports, context, "hasJpeg", has_jpeg);
}

}  // namespace protea::addon

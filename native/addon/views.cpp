// Views of pictures across the boundary: made, or only drawn. All of it runs on Node's worker
// threads; nothing touches the runtime.
#include "../image/views.h"
#include "pictures.h"

namespace protea::addon {
namespace {

using Info = const Napi::CallbackInfo&;

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

image::ViewRequest request_from(const Napi::Value& given_pictures, const Napi::Value& given_recipes,
                                const Napi::Object& key) {
  image::ViewRequest request{};
  auto pictures = given_pictures.As<Napi::Array>(), recipes = given_recipes.As<Napi::Array>();
  for (uint32_t i = 0; i < pictures.Length(); i++)
    request.pictures.push_back(picture_from(pictures.Get(i)));
  for (uint32_t i = 0; i < recipes.Length(); i++)
    request.recipes.push_back(recipe_from(recipes.Get(i)));
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
  auto request = std::make_shared<image::ViewRequest>(
      request_from(info[0], info[1], info[3].As<Napi::Object>()));
  image::Normalisation normalisation = normalisation_from(info[2]);
  auto views = std::make_shared<std::vector<std::vector<float>>>();
  auto work = [request, normalisation, views] {
    std::vector<float*> to;
    for (const image::ViewRecipe& recipe : request->recipes)
      views->emplace_back(request->pictures.size() * 3 * recipe.size * recipe.size);
    for (std::vector<float>& view : *views) to.push_back(view.data());
    image::make_views(*request, normalisation, to);
  };
  return Job::start(info.Env(), info[0], work, [views](Napi::Env env) -> Napi::Value {
    auto result = Napi::Array::New(env, views->size());
    for (uint32_t v = 0; v < views->size(); v++)
      result.Set(v, buffer_of(env, (*views)[v].data(), (*views)[v].size() * sizeof(float)));
    return result;
  });
}

// drawViews(pictures, recipes, {seed, epoch, samples}) -> Promise<{pixels, plans}>: the same views
// drawn and not made. pixels: ArrayBuffer of all pictures' bytes; plans: ArrayBuffer[], one
// (samples, plan_numbers) f64 a recipe.
Napi::Value draw_views(Context&, Info info) {
  Napi::Env env = info.Env();
  auto request = std::make_shared<image::ViewRequest>(
      request_from(info[0], info[1], info[2].As<Napi::Object>()));
  auto pixels = Napi::ArrayBuffer::New(env, image::bytes_of(request->pictures));
  size_t numbers = request->pictures.size() * image::plan_numbers;
  auto plans = Napi::Array::New(env, request->recipes.size());
  std::vector<double*> to;
  for (uint32_t v = 0; v < plans.Length(); v++) {
    auto plan = Napi::ArrayBuffer::New(env, numbers * sizeof(double));
    to.push_back(static_cast<double*>(plan.Data()));
    plans.Set(v, plan);
  }
  auto result = Napi::Object::New(env);
  result.Set("pixels", pixels);
  result.Set("plans", plans);
  auto held = std::make_shared<Napi::ObjectReference>(Napi::Persistent(result));
  auto work = [request, to, bytes = static_cast<uint8_t*>(pixels.Data())] {
    image::draw_views(*request, bytes, to);
  };
  return Job::start(env, info[0], work, [held](Napi::Env) -> Napi::Value { return held->Value(); });
}

}  // namespace

void add_view_methods(Napi::Object exports, const std::shared_ptr<Context>& context) {
  add_method(exports, context, "makeViews", make_views);
  add_method(exports, context, "drawViews", draw_views);
}

}  // namespace protea::addon

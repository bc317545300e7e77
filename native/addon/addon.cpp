// The boundary between Node and the runtime, as a table of contents. One Context per environment,
// so worker threads may load the addon too; it ends with its environment.
#include "context.h"

namespace protea::addon {
namespace {

Napi::Object start(Napi::Env env, Napi::Object exports) {
  auto context = std::make_shared<Context>(env);
  add_tensor_methods(exports, context);
  add_runtime_methods(exports, context);
  add_image_methods(exports, context);
  add_view_methods(exports, context);
  // No native thread may outlive its environment.
  env.AddCleanupHook([context] { context->runtime.stop(); });
  return exports;
}

}  // namespace
}  // namespace protea::addon

static Napi::Object init(Napi::Env env, Napi::Object exports) {
  return protea::addon::start(env, exports);
}

NODE_API_MODULE(protea, init)

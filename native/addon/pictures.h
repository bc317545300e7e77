#pragma once
// What the methods on pictures share.
#include <cstring>

#include "../image/picture.h"
#include "context.h"

namespace protea::addon {

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

inline image::PictureView picture_from(const Napi::Value& value) {
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

inline Napi::Value buffer_of(Napi::Env env, const void* data, size_t bytes) {
  auto buffer = Napi::ArrayBuffer::New(env, bytes);
  std::memcpy(buffer.Data(), data, bytes);
  return buffer;
}

}  // namespace protea::addon

// Streams and events: queues of work, and places in them.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <mutex>
#include <random>

#include "streams.h"
#include "threads.h"

using Clock = std::chrono::steady_clock;
// The place in a stream where it was recorded, and when the stream came by.
struct CUevent_st {
  cudaStream_t stream = nullptr;
  uint64_t place = 0;
  std::shared_ptr<Clock::time_point> passed = {};
};

namespace {

using simt::device_mutex;
using simt::put;
using simt::refuse;
std::vector<cudaStream_t> streams;

void run_until(cudaStream_t stream, uint64_t place) {
  while (stream && stream->done < place) {
    std::function<void()> work = std::move(stream->work.front());
    stream->work.pop_front();
    stream->done++;
    work();
  }
}

// One stream goes on and all others stand still, until it is another one's turn.
void wander() {
  static std::mt19937_64 random;
  static uint64_t seed = 0, turn = 0;
  if (seed != simt::config.seed) random.seed(seed = simt::config.seed);
  if (random() % 32 == 0) turn = random();
  cudaStream_t stream = streams[turn % streams.size()];
  run_until(stream, std::min(stream->done + 4, stream->put));
}

}  // namespace

void simt::put(cudaStream_t stream, const std::string& what, std::function<void()> work) {
  std::lock_guard lock(device_mutex);
  if (stream && stream->recorded) return stream->recorded->nodes.push_back({what, std::move(work)});
  if (!stream || config.streams == Streams::AtOnce) return work();
  stream->work.push_back(std::move(work));
  stream->put++;
  if (config.streams == Streams::Wander) wander();
}

void simt::enqueue(cudaStream_t stream, const char* kernel, std::function<void()> work) {
  if (config.driver == Driver::NoImage)
    refuse(cudaErrorNoKernelImageForDevice);
  else
    put(stream, kernel, std::move(work));
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  put(stream, "a copy", [=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  put(stream, "a fill", [=] { std::memset(to, value, bytes); });
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  std::lock_guard lock(device_mutex);
  streams.push_back(*stream = new CUstream_st);
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  std::lock_guard lock(device_mutex);
  if (simt::spoils(stream)) return refuse(cudaErrorStreamCaptureUnsupported);
  if (stream) run_until(stream, stream->put);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  std::lock_guard lock(device_mutex);
  cudaStreamSynchronize(stream);
  std::erase(streams, stream);
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned, simt::Site site) {
  std::lock_guard lock(device_mutex);
  if (simt::left_out(site)) return cudaSuccess;
  if (simt::spoils(stream)) return refuse(cudaErrorStreamCaptureIsolation);
  CUevent_st at = *event;
  put(stream, "a wait", [at] { run_until(at.stream, at.place); });
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  auto passed = std::make_shared<Clock::time_point>();
  std::lock_guard lock(device_mutex);
  if (simt::spoils(stream)) return refuse(cudaErrorStreamCaptureUnsupported);
  put(stream, "an event", [passed] { *passed = Clock::now(); });
  *event = {stream, stream->put, passed};
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  std::lock_guard lock(device_mutex);
  run_until(event->stream, event->place);
  return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  std::lock_guard lock(device_mutex);
  if (!event->stream || event->stream->done >= event->place) return cudaSuccess;
  return refuse(cudaErrorNotReady);  // runtimes differ in whether it stays behind
}

cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t begin, cudaEvent_t end) {
  *ms = std::chrono::duration<float, std::milli>(*end->passed - *begin->passed).count();
  return cudaSuccess;
}

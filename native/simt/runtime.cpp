#include "runtime.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

std::recursive_mutex simt::device_mutex;

namespace {

using simt::device_mutex;

std::map<void*, size_t> blocks;
thread_local cudaError_t last_error = cudaSuccess;  // as CUDA's: another thread's is not seen
constexpr int runtime_version = 13000;
constexpr size_t memory = size_t{8} << 30;

cudaError_t kept(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

void configure() {
  const char* text = std::getenv("PROTEA_SIMT");
  std::string all = std::string(text ? text : "") + ",";
  for (size_t at = 0, end; (end = all.find(',', at)) != std::string::npos; at = end + 1) {
    std::string item = all.substr(at, end - at), name = item.substr(0, item.find('='));
    std::string value = name.size() < item.size() ? item.substr(name.size() + 1) : "";
    simt::Config& c = simt::config;
    if (name == "seed") c.seed = std::stoull(value);
    if (name == "lazy") c.streams = simt::Streams::Lazy;
    if (name == "wander") c.streams = simt::Streams::Wander;
    if (name == "fail") c.fail_allocation = std::stol(value);
    if (name == "fail_after") c.fail_after = true;
    if (value == "reverse") c.order = simt::Order::Reverse;
    if (value == "random") c.order = simt::Order::Random;
    if (value == "priority") c.order = simt::Order::Priority;
    if (value == "none") c.driver = simt::Driver::None;
    if (value == "old") c.driver = simt::Driver::Old;
    if (value == "no-device") c.driver = simt::Driver::NoDevice;
    if (value == "no-image") c.driver = simt::Driver::NoImage;
  }
}

// True once, and from then on with fail_after, when the allocation to fail has come.
bool fails_now() {
  long& left = simt::config.fail_allocation;
  if (left <= 0) return false;
  if (left > 1) return --left, false;
  if (!simt::config.fail_after) left = 0;
  return true;
}

struct Configured {
  Configured() { configure(); }
} configured;

}  // namespace

cudaError_t cudaDriverGetVersion(int* version) {
  using simt::Driver;
  Driver driver = simt::config.driver;
  *version = driver == Driver::None ? 0 : driver == Driver::Old ? 11040 : runtime_version;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = runtime_version;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  using simt::Driver;
  *count = 0;
  if (simt::config.driver == Driver::None || simt::config.driver == Driver::Old)
    return kept(cudaErrorInsufficientDriver);
  if (simt::config.driver == Driver::NoDevice) return kept(cudaErrorNoDevice);
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::strcpy(properties->name, "emulated GPU (no hardware)");
  properties->totalGlobalMem = memory;
  properties->sharedMemPerBlockOptin = simt::config.shared_limit;
  properties->major = 9;
  properties->multiProcessorCount = 4;
  properties->l2CacheSize = 64 << 10;  // small: kernels that go by it are tried both ways
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* available, size_t* total) {
  std::lock_guard lock(device_mutex);
  size_t used = 0;
  for (auto& [data, bytes] : blocks) used += bytes;
  *total = memory;
  *available = memory - used;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** data, size_t bytes) {
  std::lock_guard lock(device_mutex);
  *data = nullptr;
  if (fails_now()) return kept(cudaErrorMemoryAllocation);
  size_t size = (bytes + 255) / 256 * 256;
  *data = std::aligned_alloc(256, size ? size : 256);
  std::memset(*data, 0xff, size);  // NaN
#if defined(__SANITIZE_ADDRESS__)
  __asan_poison_memory_region(static_cast<char*>(*data) + bytes, size - bytes);
#endif
  blocks[*data] = bytes;
  simt::device_region(*data, bytes);
  return cudaSuccess;
}

cudaError_t cudaFree(void* data) {
  std::lock_guard lock(device_mutex);
  if (!data) return cudaSuccess;
  auto found = blocks.find(data);
  if (found == blocks.end()) return kept(cudaErrorInvalidValue);
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(data, (found->second + 255) / 256 * 256);
#endif
  simt::device_region_gone(data);
  blocks.erase(found);
  std::free(data);
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void** data, size_t bytes) {
  *data = std::malloc(bytes ? bytes : 1);
  return *data ? cudaSuccess : kept(cudaErrorMemoryAllocation);
}

cudaError_t cudaFreeHost(void* data) {
  std::free(data);
  return cudaSuccess;
}

cudaError_t simt::refuse(cudaError_t error) { return last_error = error; }

cudaError_t cudaGetLastError() {
  cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorInsufficientDriver:
      return "cudaErrorInsufficientDriver";
    case cudaErrorNoDevice:
      return "cudaErrorNoDevice";
    case cudaErrorNoKernelImageForDevice:
      return "cudaErrorNoKernelImageForDevice";
    default:
      return "cudaErrorUnknown";
  }
}

const char* cudaGetErrorString(cudaError_t error) { return cudaGetErrorName(error); }

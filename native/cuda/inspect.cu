// Which GPU there is and whether kernels of this build run on it: every step may fail, and each
// failure has its own remedy.
#include "blas_api.h"
#include "device.h"

namespace protea {
namespace {

__global__ void probe_kernel(int* to) { to[threadIdx.x] = static_cast<int>(threadIdx.x) + 1; }

std::string version(int number) {
  return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

AcceleratorReport& missing(AcceleratorReport& report, std::string reason, std::string remedy) {
  report.reason = std::move(reason);
  report.remedy = std::move(remedy);
  return report;
}

std::string why(cudaError_t error) {
  return std::string(cudaGetErrorString(error)) + " (" + cudaGetErrorName(error) + ")";
}

// Runs one tiny kernel and reads its result.
cudaError_t probe(int (&result)[32]) {
  int* data = nullptr;
  cudaStream_t stream = nullptr;
  cudaError_t error = cudaMalloc(reinterpret_cast<void**>(&data), sizeof result);
  if (error == cudaSuccess) error = cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  if (error == cudaSuccess)
    error = gpu::try_launch("probe", probe_kernel, {dim3(1), dim3(32)}, stream, data);
  if (error == cudaSuccess)
    error = cudaMemcpyAsync(result, data, sizeof result, cudaMemcpyDeviceToHost, stream);
  if (error == cudaSuccess) error = cudaStreamSynchronize(stream);
  if (stream) cudaStreamDestroy(stream);
  cudaFree(data);
  cudaGetLastError();
  return error;
}

bool find_driver(AcceleratorReport& report) {
  int driver = 0, runtime = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  report.runtime = version(runtime);
  if (driver) report.driver = version(driver);
  if (!driver) {
    missing(report, "no NVIDIA driver is installed",
            "Install the driver of the card; the toolkit is not needed to run");
  } else if (driver / 1000 < runtime / 1000) {
    missing(
        report,
        "the NVIDIA driver supports CUDA " + report.driver + ", this build needs " + report.runtime,
        "Update the driver");
  }
  return report.reason.empty();
}

bool find_card(AcceleratorReport& report) {
  int count = 0;
  cudaError_t error = cudaGetDeviceCount(&count);
  cudaDeviceProp card;
  if (error == cudaSuccess && count > 0) error = cudaGetDeviceProperties(&card, 0);
  if (error != cudaSuccess || count == 0) {
    cudaGetLastError();
    missing(report, "no NVIDIA card was found: " + why(error),
            "Check nvidia-smi and CUDA_VISIBLE_DEVICES");
    return false;
  }
  report.name = card.name;
  report.capability = std::to_string(card.major) + "." + std::to_string(card.minor);
  report.memory = card.totalGlobalMem;
  report.processors = card.multiProcessorCount;
  return true;
}

std::string products() {
  std::string note;
  const gpu::lt::Api* library = gpu::lt::load(note);
  return library ? "cuBLASLt " + gpu::lt::version_of(*library) + " (" + note + ")"
                 : "own kernels: " + note;
}

}  // namespace

AcceleratorReport inspect_accelerator() {
  AcceleratorReport report;
  report.built = true;
  report.products = products();
#ifndef __CUDACC__
  report.emulated = true;
#endif
  if (!find_driver(report) || !find_card(report)) return report;
  int result[32] = {};
  cudaError_t error = probe(result);
  if (error == cudaErrorNoKernelImageForDevice)
    return missing(report,
                   report.name + " has compute capability " + report.capability +
                       ", for which this build has no kernels",
                   "A card of capability 8.0 or newer is needed");
  if (error != cudaSuccess || result[31] != 32)
    return missing(report, "a first kernel failed on " + report.name + ": " + why(error),
                   "Look at nvidia-smi and the system's log for the card");
  report.ready = true;
  report.reason = report.name + ", compute capability " + report.capability;
  return report;
}

std::unique_ptr<Accelerator> open_accelerator() {
  AcceleratorReport report = inspect_accelerator();
  check(report.ready, Code::Device, "[cuda] ", report.reason, ". ", report.remedy);
  return std::make_unique<Gpu>();
}

}  // namespace protea

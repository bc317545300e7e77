// A CPU-only build: compiled in place of native/cuda.
#include "accelerator.h"

namespace protea {

AcceleratorReport inspect_accelerator() {
  AcceleratorReport report;
  report.reason = "this build of Protea has no CUDA kernels";
  report.remedy = "Build them with: npm run build:cuda (nvcc is needed)";
  return report;
}

std::unique_ptr<Accelerator> open_accelerator() {
  AcceleratorReport report = inspect_accelerator();
  throw Error(Code::Device, "[cuda] " + report.reason);
}

}  // namespace protea

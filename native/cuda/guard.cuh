#pragma once
#include "device.h"

namespace protea::gpu {

// A guard is one number or none: what changes state in place does nothing when it is not finite.
GPU_DEVICE bool lets_through(const float* guard) { return !guard || isfinite(*guard); }

}  // namespace protea::gpu

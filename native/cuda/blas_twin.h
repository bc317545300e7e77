#pragma once
// A twin of cuBLASLt: keeps the rules of its interface, refuses what it would refuse, and computes
// one number after the other in the order of the stream.
#include "blas_api.h"

namespace protea::gpu::lt {

// `wrong`: one that is not what we take it for, and leaves biases out.
const Api& twin(bool wrong);

}  // namespace protea::gpu::lt

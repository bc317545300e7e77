#pragma once
// Both sweeps of the prototype cross-entropy on tensor cores, with operands in bf16.
#include "prototype_problem.cuh"

namespace protea::gpu {

// For bf16, up to 256 columns, and a card whose blocks have shared memory enough.
bool flash_fits(const Gpu& gpu, int64_t P);

// The running softmax and the mean prototype of every row, part by part of the prototypes.
Parts flash_sweep(Gpu& gpu, const Problem& problem);

// dW and dbias.
void flash_slopes(Gpu& gpu, const Problem& problem, const Slopes& slopes);

}  // namespace protea::gpu

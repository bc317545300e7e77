#pragma once
// EVERYWHERE: a function for both devices, so that a formula stands once.
#ifdef __CUDACC__
#define EVERYWHERE __host__ __device__
#else
#define EVERYWHERE
#endif

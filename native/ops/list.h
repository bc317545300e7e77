// Every op of the runtime, one per line. Adding an op is a file pair in this folder (name.cpp with
// the contract and the CPU kernel, name.cu with the CUDA kernel) and a line here; a missing part is
// a link error.
OP(dot)
OP(identity)
OP(linear)
OP(weighted_sum)

#include "../core/op.h"

#ifdef PROTEA_CUDA
#define CUDA(name) &name##_cuda
#else
#define CUDA(name) nullptr
#endif

namespace protea {

#define OP(name)                                                        \
  Outputs name##_infer(std::span<const Tensor> in, const Attrs& attrs); \
  extern const Kernel name##_cpu, name##_cuda;
#include "list.h"
#undef OP

#define OP(name) {#name, name##_infer, &name##_cpu, CUDA(name)},
static const Op table[] = {
#include "list.h"
};
#undef OP

std::span<const Op> all_ops() { return table; }

const Op& op(const std::string& name) {
  for (const Op& row : table)
    if (name == row.name) return row;
  throw Error(Code::Unsupported, "[op] unknown op: " + name);
}

}  // namespace protea

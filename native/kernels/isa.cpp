#include "isa.h"

#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace protea {
namespace {

Isa best() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (wide) return Isa::Avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Isa::Avx2;
#endif
  return Isa::Portable;
}

Isa chosen() {
  Isa found = best();
  const char* asked = std::getenv("PROTEA_ISA");
  if (!asked) return found;
  for (Isa lower : {Isa::Portable, Isa::Avx2, Isa::Avx512})
    if (lower <= found && !std::strcmp(asked, name_of(lower))) return lower;
  return found;
}

}  // namespace

Isa isa() {
  static const Isa once = chosen();
  return once;
}

const char* name_of(Isa isa) {
  switch (isa) {
    case Isa::Avx512:
      return "avx512";
    case Isa::Avx2:
      return "avx2";
    default:
      return "portable";
  }
}

}  // namespace protea

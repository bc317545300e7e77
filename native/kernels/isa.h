#pragma once

namespace protea {

// The instruction sets that kernels/simd/ is compiled for: one generic source, several objects,
// chosen once at start. Portable is what the compiler targets by default.
enum class Isa { Portable, Avx2, Avx512 };

// The best set of this machine; PROTEA_ISA=portable|avx2|avx512 lowers it.
Isa isa();
const char* name_of(Isa isa);

// One value per instruction set, of which this machine's is given. Families of kernels are structs
// of function pointers; see elementwise.h for the pattern.
template <class Family>
const Family& choose(const Family& portable, const Family& avx2, const Family& avx512) {
  switch (isa()) {
    case Isa::Avx512:
      return avx512;
    case Isa::Avx2:
      return avx2;
    default:
      return portable;
  }
}

}  // namespace protea

// Declares `name` in each instruction set's namespace.
#if defined(__x86_64__)
#define PROTEA_DECLARE_FAMILY(Family, name) \
  namespace portable {                      \
  extern const Family name;                 \
  }                                         \
  namespace avx2 {                          \
  extern const Family name;                 \
  }                                         \
  namespace avx512 {                        \
  extern const Family name;                 \
  }
#define PROTEA_CHOOSE(name) choose(portable::name, avx2::name, avx512::name)
#else
#define PROTEA_DECLARE_FAMILY(Family, name) \
  namespace portable {                      \
  extern const Family name;                 \
  }
#define PROTEA_CHOOSE(name) portable::name
#endif

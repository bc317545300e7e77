// vmf_log_normalizer: y_k = log C_P(κ_k) - log C_P(0), the von Mises-Fisher log-normaliser
//   κ_k = ||w_k|| / temperature,  C_P(κ) = κ^ν / ((2π)^(P/2) I_ν(κ)),  ν = P/2 - 1
//   w (K, P >= 2), attrs temperature > 0 -> y (K); the constant left out is the same for all
//   dw_k = -dy_k A(κ_k) / κ_k w_k / temperature²,  A = I_(ν+1) / I_ν: nothing is divided by a norm,
//   so a prototype of zeros has a gradient of zeros
//   saves A(κ) / κ (K). Computed in double: a power series up to κ = 200, above it Debye's
//   expansion in four terms (Abramowitz & Stegun 9.7.7), exact to 1e-12 and better.
//   Govindarajan et al. 2023 (DINO-vMF), section 3.2
#include <cmath>

#include "../core/op.h"
#include "../core/parallel.h"
#include "vmf_normalizer.h"

namespace protea {

Outputs vmf_log_normalizer_infer(std::span<const Tensor> in, const Attrs& attrs) {
  const char* op = "[vmf_log_normalizer]";
  check(in.size() == 1 && is_floating(in[0].dtype), Code::Dtype, op, " takes one w of f32 or f64");
  check(in[0].rank() == 2 && in[0].dim(1) >= 2, Code::Shape, op, " w must be (K, P >= 2), got ",
        in[0].shape);
  check(attrs.number("temperature") > 0, Code::Unsupported, op, " temperature must be > 0, got ",
        attrs.number("temperature"));
  Shape k{in[0].dim(0)};
  Outputs outputs{{{k, in[0].dtype}, {k, in[0].dtype}}};
  outputs.reads_in = 1;
  outputs.reads_out = 0b10;
  return outputs;
}

namespace {

void forward(const Run& run) {
  const Array& w = run.in[0];
  int64_t P = w.dim(1);
  double temperature = run.attrs.number("temperature");
  with_floating(w.dtype, [&]<class T>() {
    parallel_for(w.dim(0), 64, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; k++) {
        double square = 0;
        for (const T *x = w.as<T>() + k * P, *stop = x + P; x < stop; x++)
          square += static_cast<double>(*x) * *x;
        Normalizer found = normalizer(P / 2.0 - 1, std::sqrt(square) / temperature);
        run.out[0].as<T>()[k] = static_cast<T>(found.value);
        run.out[1].as<T>()[k] = static_cast<T>(found.slope);
      }
    });
  });
}

void backward(const Run& run) {
  const Gradient& dw = run.din[0];
  if (!dw) return;
  const Array& w = run.in[0];
  int64_t P = w.dim(1);
  double temperature = run.attrs.number("temperature");
  with_floating(w.dtype, [&]<class T>() {
    parallel_for(w.dim(0), 64, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; k++) {
        T scale = -run.dout[0].as<T>()[k] * run.out[1].as<T>()[k] /
                  static_cast<T>(temperature * temperature);
        for (int64_t i = k * P; i < (k + 1) * P; i++) {
          T d = scale * w.as<T>()[i];
          dw.as<T>()[i] = dw.accumulate ? dw.as<T>()[i] + d : d;
        }
      }
    });
  });
}

}  // namespace

extern const Kernel vmf_log_normalizer_cpu = {forward, backward};

}  // namespace protea

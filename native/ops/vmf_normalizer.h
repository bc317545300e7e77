#pragma once
// The von Mises-Fisher log-normaliser in double, for both devices; see vmf_log_normalizer.cpp.
#include <cmath>

#include "../kernels/everywhere.h"

namespace protea {

constexpr double pi = 3.14159265358979323846;
constexpr double largest_in_series = 200;

// Γ(ν+1) (2/κ)^ν I_ν(κ) = Σ_j (κ²/4)^j / (j! (ν+1)...(ν+j))
EVERYWHERE inline double bessel_series(double nu, double kappa) {
  double q = kappa * kappa / 4, term = 1, sum = 1;
  for (int j = 1; term > sum * 1e-17; j++) {
    term *= q / (j * (nu + j));
    sum += term;
  }
  return sum;
}

// log of the same for large κ; with s = √(ν² + κ²) and x = (ν/s)², I_ν = e^s (κ/(ν+s))^ν U /
// √(2πs).
EVERYWHERE inline double log_bessel_large(double nu, double kappa) {
  double s = std::hypot(nu, kappa), x = nu * nu / (s * s), r = 1 / s;
  double u1 = (3 - 5 * x) / 24;
  double u2 = (81 + x * (-462 + x * 385)) / 1152;
  double u3 = (30375 + x * (-369603 + x * (765765 - x * 425425))) / 414720;
  double u4 =
      (4465125 + x * (-94121676 + x * (349922430 + x * (-446185740 + x * 185910725)))) / 39813120;
  double correction = r * (u1 + r * (u2 + r * (u3 + r * u4)));
  return s - nu * std::log((nu + s) / 2) - std::log(2 * pi * s) / 2 + std::log1p(correction) +
         std::lgamma(nu + 1);
}

struct Normalizer {
  double value;  // log C(κ) - log C(0)
  double slope;  // A(κ) / κ
};

EVERYWHERE inline Normalizer normalizer(double nu, double kappa) {
  if (kappa <= largest_in_series) {
    double sum = bessel_series(nu, kappa);
    return {-std::log(sum), bessel_series(nu + 1, kappa) / sum / (2 * (nu + 1))};
  }
  double log_sum = log_bessel_large(nu, kappa);
  double slope = std::exp(log_bessel_large(nu + 1, kappa) - log_sum) / (2 * (nu + 1));
  return {-log_sum, slope};
}

}  // namespace protea

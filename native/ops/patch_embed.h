#pragma once
// How patch_embed cuts its images (B, C, H, W) into patches of P x P pixels.
#include "../core/op.h"

namespace protea {

struct Patches {
  int64_t B, C, H, W, P, down, across, D;

  explicit Patches(const Run& run)
      : B(run.in[0].dim(0)),
        C(run.in[0].dim(1)),
        H(run.in[0].dim(2)),
        W(run.in[0].dim(3)),
        P(run.in[1].dim(2)),
        down(H / P),
        across(W / P),
        D(run.in[1].dim(0)) {}

  int64_t rows() const { return B * down * across; }
  int64_t depth() const { return C * P * P; }

  // Calls body(pixels of the image, pixels of the patch row) for each run of P pixels of a patch.
  template <class Body>
  void each_run(int64_t patch, Body&& body) const {
    int64_t b = patch / (down * across), y = patch / across % down, x = patch % across;
    for (int64_t c = 0; c < C; c++)
      for (int64_t i = 0; i < P; i++)
        body(((b * C + c) * H + y * P + i) * W + x * P, (c * P + i) * P);
  }
};

}  // namespace protea

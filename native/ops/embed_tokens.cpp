// embed_tokens: the token sequence of a vision transformer
//   tokens_b = [cls + position_0; registers; patch_bn + position_n+1], n = 0 ... N - 1, where a
//   masked patch is replaced by mask_token before its position is added
//   patches (B, N, D), cls (1, 1, D), position (1, 1 + N, D), registers (1, R, D) or none,
//   mask (B, N) u8 or none, mask_token (1, D) or none -> tokens (B, 1 + R + N, D)
//   saves nothing; backward reads mask
//   Darcet et al. 2024, "Vision transformers need registers", for the registers
#include "../core/op.h"
#include "../core/parallel.h"

namespace protea {

Outputs embed_tokens_infer(std::span<const Tensor> in, const Attrs&) {
  check(in.size() == 6, Code::Shape,
        "[embed_tokens] takes patches, cls, position, registers, mask and mask_token, got ",
        in.size());
  const Tensor &patches = in[0], &registers = in[3], &mask = in[4];
  check(patches.rank() == 3 && is_floating(patches.dtype), Code::Shape,
        "[embed_tokens] patches must be (B, N, D) of f32 or f64, got ", patches.shape);
  int64_t B = patches.dim(0), N = patches.dim(1), D = patches.dim(2);
  int64_t R = registers ? registers.dim(registers.rank() > 1 ? 1 : 0) : 0;
  auto expect = [&](int i, const char* name, Shape shape) {
    check(!in[i] || (in[i].shape == shape && in[i].dtype == patches.dtype), Code::Shape,
          "[embed_tokens] ", name, " must be ", shape, " of ", name_of(patches.dtype), ", got ",
          in[i].shape, " of ", name_of(in[i].dtype));
  };
  check(in[1] && in[2], Code::Shape, "[embed_tokens] cls and position must be given");
  expect(1, "cls", {1, 1, D});
  expect(2, "position", {1, 1 + N, D});
  expect(3, "registers", {1, R, D});
  expect(5, "mask_token", {1, D});
  check(!mask || (mask.dtype == Dtype::U8 && mask.shape == Shape{B, N}), Code::Shape,
        "[embed_tokens] mask must be (", B, ", ", N, ") of u8, got ", mask.shape);
  check(!mask || in[5], Code::Shape, "[embed_tokens] a mask needs a mask_token");
  Outputs outputs{{{Shape{B, 1 + R + N, D}, patches.dtype}}};
  outputs.reads_in = 0b010000;
  outputs.reads_out = 0;
  return outputs;
}

namespace {

struct Tokens {
  int64_t B, N, D, R;
  explicit Tokens(const Run& run)
      : B(run.in[0].dim(0)),
        N(run.in[0].dim(1)),
        D(run.in[0].dim(2)),
        R(run.in[3] ? run.in[3].dim(1) : 0) {}
  int64_t length() const { return 1 + R + N; }
};

void forward(const Run& run) {
  Tokens s(run);
  const uint8_t* mask = run.in[4].as<uint8_t>();
  with_floating(run.in[0].dtype, [&]<class T>() {
    auto row = [&](int input, int64_t i) { return run.in[input].as<T>() + i * s.D; };
    parallel_for(s.B, 1, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; b++) {
        T* y = run.out[0].as<T>() + b * s.length() * s.D;
        for (int64_t d = 0; d < s.D; d++) y[d] = row(1, 0)[d] + row(2, 0)[d];
        for (int64_t i = 0; i < s.R * s.D; i++) y[s.D + i] = row(3, 0)[i];
        y += (1 + s.R) * s.D;
        for (int64_t n = 0; n < s.N; n++, y += s.D) {
          const T* from = mask && mask[b * s.N + n] ? row(5, 0) : row(0, b * s.N + n);
          for (int64_t d = 0; d < s.D; d++) y[d] = from[d] + row(2, 1 + n)[d];
        }
      }
    });
  });
}

// to (D) = or += sum over images of the token's gradient; `wanted` says which images count.
template <class T, class Wanted>
void sum_token(const Tokens& s, const T* dy, int64_t token, T* to, bool accumulate,
               Wanted&& wanted) {
  if (!accumulate)
    for (int64_t d = 0; d < s.D; d++) to[d] = 0;
  for (int64_t b = 0; b < s.B; b++) {
    if (!wanted(b)) continue;
    const T* from = dy + (b * s.length() + token) * s.D;
    for (int64_t d = 0; d < s.D; d++) to[d] += from[d];
  }
}

template <class T>
void back_patches(const Tokens& s, const Run& run, const uint8_t* mask) {
  const Gradient& dpatches = run.din[0];
  parallel_for(s.B * s.N, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const T* dy = run.dout[0].as<T>() + (i / s.N * s.length() + 1 + s.R + i % s.N) * s.D;
      T* to = dpatches.as<T>() + i * s.D;
      T keep = mask && mask[i] ? T(0) : T(1);
      for (int64_t d = 0; d < s.D; d++)
        to[d] = dpatches.accumulate ? to[d] + keep * dy[d] : keep * dy[d];
    }
  });
}

void backward(const Run& run) {
  Tokens s(run);
  const uint8_t* mask = run.in[4].as<uint8_t>();
  with_floating(run.dout[0].dtype, [&]<class T>() {
    const T* dy = run.dout[0].as<T>();
    auto all = [](int64_t) { return true; };
    if (run.din[0]) back_patches<T>(s, run, mask);
    if (const Gradient& dcls = run.din[1])
      sum_token<T>(s, dy, 0, dcls.as<T>(), dcls.accumulate, all);
    if (const Gradient& dposition = run.din[2])
      parallel_for(1 + s.N, 4, [&](int64_t begin, int64_t end) {
        for (int64_t n = begin; n < end; n++)
          sum_token<T>(s, dy, n ? n + s.R : 0, dposition.as<T>() + n * s.D, dposition.accumulate,
                       all);
      });
    if (const Gradient& dregisters = run.din[3])
      for (int64_t r = 0; r < s.R; r++)
        sum_token<T>(s, dy, 1 + r, dregisters.as<T>() + r * s.D, dregisters.accumulate, all);
    if (const Gradient& dmask = run.din[5])
      for (int64_t n = 0; n < s.N || n == 0; n++)
        sum_token<T>(s, dy, 1 + s.R + n, dmask.as<T>(), dmask.accumulate || n > 0,
                     [&](int64_t b) { return mask && mask[b * s.N + n]; });
  });
}

}  // namespace

extern const Kernel embed_tokens_cpu = {forward, backward};

}  // namespace protea

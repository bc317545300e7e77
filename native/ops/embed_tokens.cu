#include "../cuda/map.cuh"
#include "../cuda/sums.cuh"

namespace protea {
namespace {

// The sequence of an image: cls, R registers, N patches, each of D.
struct Tokens {
  int64_t B, N, D, R;
  const uint8_t* mask;  // (B, N) or null

  explicit Tokens(const Run& run)
      : B(run.in[0].dim(0)),
        N(run.in[0].dim(1)),
        D(run.in[0].dim(2)),
        R(run.in[3] ? run.in[3].dim(1) : 0),
        mask(run.in[4].as<uint8_t>()) {}

  GPU_DEVICE int64_t length() const { return 1 + R + N; }
};

struct ValueOfToken {
  const float *token, *position;  // position null: none
  GPU_DEVICE float operator()(int64_t d) const {
    return position ? token[d] + position[d] : token[d];
  }
};

// Rows are the tokens of all images.
struct Value {
  Tokens s;
  const float *patches, *cls, *position, *registers, *mask_token;
  GPU_DEVICE ValueOfToken row(int64_t i) const {
    int64_t b = i / s.length(), token = i % s.length(), n = token - 1 - s.R;
    if (token == 0) return {cls, position};
    if (n < 0) return {registers + (token - 1) * s.D, nullptr};
    int64_t patch = b * s.N + n;
    bool masked = s.mask && s.mask[patch];
    return {masked ? mask_token : patches + patch * s.D, position + (1 + n) * s.D};
  }
};

struct SlopeOfPatch {
  const float* dy;  // null: masked
  GPU_DEVICE float operator()(int64_t d) const { return dy ? dy[d] : 0; }
};

// Rows are the patches of all images.
struct PatchSlope {
  Tokens s;
  const float* dy;
  GPU_DEVICE SlopeOfPatch row(int64_t i) const {
    if (s.mask && s.mask[i]) return {nullptr};
    return {dy + (i / s.N * s.length() + 1 + s.R + i % s.N) * s.D};
  }
};

// Sums over images, of tokens first, first + 1, ... as columns; with `skip` the columns after the
// first D lie that many tokens further (positions have no registers).
struct TokenTerm {
  Tokens s;
  const float* dy;
  int64_t first, skip;
  GPU_DEVICE float operator()(int64_t b, int64_t j) const {
    int64_t token = first + j / s.D + (j >= s.D ? skip : 0);
    return dy[(b * s.length() + token) * s.D + j % s.D];
  }
};

// Row b N + n: the gradient of a masked patch.
struct MaskTerm {
  Tokens s;
  const float* dy;
  GPU_DEVICE float operator()(int64_t i, int64_t d) const {
    if (!s.mask || !s.mask[i]) return 0;
    return dy[(i / s.N * s.length() + 1 + s.R + i % s.N) * s.D + d];
  }
};

void forward(const Run& run) {
  auto given = [&](int i) { return run.in[i].as<float>(); };
  Value value{Tokens(run), given(0), given(1), given(2), given(3), given(5)};
  gpu::store_rows(Gpu::of(run), value, run.out[0].as<float>(), run.out[0].shape.rows(), value.s.D);
}

void sum_tokens(const Run& run, const Tokens& s, const Gradient& to, int64_t first, int64_t skip) {
  if (!to || to.array.size() == 0) return;
  gpu::column_sums(Gpu::of(run), TokenTerm{s, run.dout[0].as<float>(), first, skip}, s.B,
                   to.array.size(), to.as<float>(), to.accumulate);
}

void backward(const Run& run) {
  Tokens s(run);
  const float* dy = run.dout[0].as<float>();
  gpu::store_rows(Gpu::of(run), PatchSlope{s, dy}, run.din[0]);
  sum_tokens(run, s, run.din[1], 0, 0);
  sum_tokens(run, s, run.din[2], 0, s.R);
  sum_tokens(run, s, run.din[3], 1, 0);
  if (const Gradient& dmask = run.din[5])
    gpu::column_sums(Gpu::of(run), MaskTerm{s, dy}, s.B * s.N, s.D, dmask.as<float>(),
                     dmask.accumulate);
}

}  // namespace

extern const Kernel embed_tokens_cuda = {forward, backward};

}  // namespace protea

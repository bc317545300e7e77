// prototype_cross_entropy: the DINO loss over views, as attention over prototypes
//   l_s = z_s Wᵀ / temperature_s + bias_s for the student, l_t likewise for the teacher
//   loss = Σ_v Σ_u pairs[v, u] Σ_b row_weight_s CE(softmax(l_t), softmax(l_s)), s = vB + b, t = uB
//   + b z_student (S = V B, P), w_student (K, P), bias_student (K)?, z_teacher (T = U B, Q),
//   w_teacher (K, Q), bias_teacher (K)?, row_weight (S)?; attrs pairs (V U numbers), views V,
//   teacher_views U, student_temperature, teacher_temperature -> loss ()
//   The biases are in units after the temperature: centering passes -centre / temperature.
//   With q = softmax(l_t) and p = softmax(l_s):
//     CE = lse_s - Σ_k q_k l_sk = lse_s - z_s · m_t / temperature_s - Σ_k q_k bias_k,  m_t = Σ q_k
//     w_k dz_s = (Σ_k p_k w_k - m_t) / temperature_s,  dW = (pᵀ z_s - qᵀ Σ_v z_s) / temperature_s
//   so of each row only its log-sum-exp and its mean prototype are needed, taken in one pass over
//   blocks of prototypes with a running softmax. The teacher and row_weight are constants.
//   saves log-sum-exps (S + T), mean prototypes (S + T, P), the tops of the running softmax
//   (blocks, S + T) and, up to kept_elements, the exponentials (K, S + T); beyond that backward
//   computes the logits again and memory stays O((S + T + K) P)
//   A block of logits lies prototype by prototype, (block, S + T): the blocks of W and of the
//   exponentials are then read where they are, and only what all blocks share is packed, once
//   Caron et al. 2021, eq. 3; the pass is that of FlashAttention (Dao et al. 2022)
#include <optional>
#include <vector>

#include "../core/scratch.h"
#include "cross_entropy_problem.h"

namespace protea {

using namespace cross_entropy;

namespace {

void check_views(std::span<const Tensor> in, const Attrs& attrs) {
  const char* op = "[prototype_cross_entropy]";
  int64_t V = attrs.integer("views"), U = attrs.integer("teacher_views");
  int64_t S = in[z_student].dim(0), T = in[z_teacher].dim(0);
  check(V > 0 && U > 0 && S % V == 0 && T % U == 0 && S / V == T / U, Code::Shape, op, " ", S,
        " student rows in ", V, " views and ", T, " teacher rows in ", U,
        " views must hold the same images");
  check(static_cast<int64_t>(attrs.list("pairs").size()) == V * U, Code::Shape, op,
        " pairs must be views x teacher_views = ", V * U, " numbers, got ",
        attrs.list("pairs").size());
  for (const char* name : {"student_temperature", "teacher_temperature"})
    check(attrs.number(name) > 0, Code::Unsupported, op, " ", name, " must be > 0, got ",
          attrs.number(name));
}

}  // namespace

Outputs prototype_cross_entropy_infer(std::span<const Tensor> in, const Attrs& attrs) {
  const char* op = "[prototype_cross_entropy]";
  check(in.size() == 7, Code::Shape, op, " takes 7 inputs, got ", in.size());
  check_prototype_rows(op, "student", in[z_student], in[w_student], in[bias_student]);
  check_prototype_rows(op, "teacher", in[z_teacher], in[w_teacher], in[bias_teacher]);
  Dtype dtype = in[z_student].dtype;
  int64_t K = in[w_student].dim(0), S = in[z_student].dim(0);
  check(in[w_teacher].dim(0) == K && in[z_teacher].dtype == dtype, Code::Shape, op,
        " student and teacher must have as many prototypes and one dtype, got ", K, " and ",
        in[w_teacher].dim(0));
  check(!in[row_weight] || (in[row_weight].shape == Shape{S} && in[row_weight].dtype == dtype),
        Code::Shape, op, " row_weight must be (", S, "), got ", in[row_weight].shape);
  check_views(in, attrs);
  PrototypeBlocks blocks(K);
  int64_t rows = S + in[z_teacher].dim(0);
  // The CUDA kernel keeps neither tops nor exponentials.
  bool on_cpu = in[z_student].device == Device::Cpu;
  bool kept = on_cpu && keeps(rows, K);
  Shape tiles = kept ? Shape{K, rows} : Shape{0};
  Outputs outputs{{{Shape{}, dtype},
                   {Shape{rows}, dtype},
                   {Shape{rows, in[z_student].dim(1)}, dtype},
                   {on_cpu ? Shape{blocks.count, rows} : Shape{0}, dtype},
                   {tiles, dtype}}};
  outputs.reads_in = kept ? 1 << z_student | 1 << row_weight : 0b1111111;
  outputs.reads_out = 0b11110;
  outputs.constants = 1 << z_teacher | 1 << w_teacher | 1 << bias_teacher | 1 << row_weight;
  return outputs;
}

namespace {

// What one piece of the prototypes adds up for all rows: a running softmax, of which `top` only
// grows.
template <class T>
struct Partial {
  std::vector<T> top;        // (R)
  std::vector<double> sum;   // (R) Σ_k e^(l_k - top)
  std::vector<T> mean;       // (R, P) Σ_k e^(l_k - top) w_k
  std::vector<double> bias;  // (R) Σ_k e^(l_k - top) bias_k, teacher rows only

  void start(int64_t R, int64_t P) {
    top.assign(R, -std::numeric_limits<T>::infinity());
    sum.assign(R, 0);
    mean.assign(R * P, T(0));
    bias.assign(R, 0);
  }

  // Rows whose top grew since `before`: what they added up counts less.
  void shrink(const T* before, int64_t P) {
    for (size_t r = 0; r < top.size(); r++) {
      if (top[r] == before[r]) continue;
      T factor = std::exp(before[r] - top[r]);
      sum[r] *= factor;
      bias[r] *= factor;
      rows<T>().scale(P, factor, mean.data() + r * P);
    }
  }
};

template <class T>
void forward_block(const PackedRows<T>& packed, int64_t block, T* tile, Partial<T>& partial) {
  const Problem<T>& problem = packed.problem;
  const PrototypeBlocks& blocks = problem.blocks;
  int64_t n = blocks.width(block), P = problem.P, R = problem.R, S = problem.S;
  T *before = scratch<T>(1, 2 * R), *sum = before + R;
  std::copy_n(partial.top.data(), R, before);
  packed.logits(block, tile, partial.top.data());
  partial.shrink(before, P);
  std::fill_n(sum, R, T(0));
  rows<T>().columns_exp_sum(n, R, R, partial.top.data(), tile, sum);
  for (int64_t r = 0; r < R; r++) partial.sum[r] += sum[r];
  if (const T* bias = problem.student.bias_of(blocks, block)) {
    std::fill_n(sum, R, T(0));
    rows<T>().columns_weighted_sum(n, R - S, R, bias, tile + S, sum + S);
    for (int64_t r = S; r < R; r++) partial.bias[r] += sum[r];
  }
  gemm<T>(R, P, n, {tile, R, true}, {problem.student.w + blocks.begin(block) * P, P},
          partial.mean.data(), P, true);
}

template <class T>
std::vector<Partial<T>> forward_pieces(const Problem<T>& problem, const Run& run) {
  const PrototypeBlocks& blocks = problem.blocks;
  int64_t R = problem.R;
  PackedRows<T> packed(problem);
  std::vector<Partial<T>> partials(blocks.pieces);
  parallel_for(blocks.count, blocks.per_piece, [&](int64_t begin, int64_t end) {
    Partial<T>& partial = partials[begin / blocks.per_piece];
    partial.start(R, problem.P);
    for (int64_t block = begin; block < end; block++) {
      T* tile = problem.kept ? run.out[exponentials].as<T>() + blocks.begin(block) * R
                             : scratch<T>(0, R * blocks.size);
      forward_block(packed, block, tile, partial);
      std::copy_n(partial.top.data(), R, run.out[tops].as<T>() + block * R);
    }
  });
  return partials;
}

// Joins the pieces of row r, in order: its log-sum-exp and mean prototype; returns Σ_k q_k bias_k.
template <class T>
double join_row(const std::vector<Partial<T>>& partials, int64_t r, int64_t P, T* lse, T* mean) {
  double top = -std::numeric_limits<double>::infinity(), sum = 0, bias = 0;
  for (const Partial<T>& part : partials) top = std::max(top, static_cast<double>(part.top[r]));
  for (const Partial<T>& part : partials) sum += part.sum[r] * std::exp(part.top[r] - top);
  std::fill_n(mean, P, T(0));
  for (const Partial<T>& part : partials) {
    double share = std::exp(part.top[r] - top) / sum;
    rows<T>().axpy(P, static_cast<T>(share), part.mean.data() + r * P, mean);
    bias += share * part.bias[r];
  }
  *lse = static_cast<T>(top + std::log(sum));
  return bias;
}

template <class T>
void forward_of(const Run& run) {
  Problem<T> problem(run);
  std::vector<Partial<T>> partials = forward_pieces(problem, run);
  T *lse = run.out[log_sum_exps].as<T>(), *mean = run.out[means].as<T>();
  int64_t P = problem.P;
  std::vector<double> bias(problem.R);
  parallel_for(problem.R, 1, [&](int64_t r, int64_t) {
    bias[r] = join_row(partials, r, P, lse + r, mean + r * P);
  });
  double total = 0;
  problem.each_pair([&](int64_t s, int64_t t, double weight) {
    const T *z = problem.student.z + s * P, *m = mean + (problem.S + t) * P;
    double product = 0;
    for (int64_t p = 0; p < P; p++) product += static_cast<double>(z[p]) * m[p];
    total +=
        weight * (lse[s] - product * problem.student.inverse_temperature - bias[problem.S + t]);
  });
  *run.out[loss].as<T>() = static_cast<T>(total);
}

void forward(const Run& run) {
  with_floating(run.in[z_student].dtype, [&]<class T>() { forward_of<T>(run); });
}

// The left side of dW and dbias: every row's weight on its probabilities, and that weight times z.
template <class T>
struct Pull {
  std::vector<double> weight;  // (R)
  std::vector<T> z;            // (R, P)

  Pull(const Problem<T>& problem, double dloss) : weight(problem.R), z(problem.R * problem.P) {
    int64_t P = problem.P;
    double scale = problem.student.inverse_temperature;
    problem.each_pair([&](int64_t s, int64_t t, double pair) {
      weight[s] += dloss * pair;
      weight[problem.S + t] -= dloss * pair;
      rows<T>().axpy(P, static_cast<T>(-dloss * pair * scale), problem.student.z + s * P,
                     z.data() + (problem.S + t) * P);
    });
    for (int64_t s = 0; s < problem.S; s++)
      rows<T>().axpy(P, static_cast<T>(weight[s] * scale), problem.student.z + s * P,
                     z.data() + s * P);
  }
};

// dz_s = Σ_t weight (mean_s - mean_t) / temperature
template <class T>
void back_z(const Problem<T>& problem, const Run& run, double dloss) {
  const Gradient& dz = run.din[z_student];
  const T* mean = run.out[means].as<T>();
  int64_t P = problem.P;
  T* to = dz.as<T>();
  if (!dz.accumulate) std::fill_n(to, problem.S * P, T(0));
  problem.each_pair([&](int64_t s, int64_t t, double weight) {
    T scale = static_cast<T>(dloss * weight * problem.student.inverse_temperature);
    rows<T>().axpy(P, scale, mean + s * P, to + s * P);
    rows<T>().axpy(P, -scale, mean + (problem.S + t) * P, to + s * P);
  });
}

// What all blocks share when they go back.
template <class T>
struct Back {
  const Problem<T>& problem;
  std::optional<PackedRows<T>> packed;  // where the exponentials were not kept
  Panels<T> z;                          // (R, P) the left side of dW
  std::vector<T> weight;                // (R)

  Back(const Problem<T>& problem, const Pull<T>& pull)
      : problem(problem),
        z({pull.z.data(), problem.P}, problem.R, problem.P),
        weight(pull.weight.begin(), pull.weight.end()) {
    if (!problem.kept) packed.emplace(problem);
  }
};

// The probabilities of a block (block, R).
template <class T>
const T* probabilities(const Back<T>& back, const Run& run, int64_t block) {
  const Problem<T>& problem = back.problem;
  const PrototypeBlocks& blocks = problem.blocks;
  int64_t R = problem.R, n = blocks.width(block);
  T *tile = scratch<T>(0, R * blocks.size), *row = scratch<T>(1, R);
  const T* lse = run.out[log_sum_exps].as<T>();
  if (problem.kept) {
    const T* top = run.out[tops].as<T>() + block * R;
    for (int64_t r = 0; r < R; r++) row[r] = std::exp(top[r] - lse[r]);
    const T* from = run.out[exponentials].as<T>() + blocks.begin(block) * R;
    rows<T>().columns_scaled_copy(n, R, R, row, from, tile);
  } else {
    std::fill_n(row, R, T(0));
    back.packed->logits(block, tile, row);
    rows<T>().columns_exp_sum(n, R, R, lse, tile, row);
  }
  return tile;
}

template <class T>
void back_block(const Back<T>& back, const Run& run, int64_t block) {
  const Problem<T>& problem = back.problem;
  const PrototypeBlocks& blocks = problem.blocks;
  int64_t P = problem.P, R = problem.R, first = blocks.begin(block), n = blocks.width(block);
  const T* tile = probabilities(back, run, block);
  if (const Gradient& dw = run.din[w_student])
    back.z.multiply(n, tile, R, dw.as<T>() + first * P, P, dw.accumulate);
  if (const Gradient& dbias = run.din[bias_student])
    for (int64_t k = 0; k < n; k++) {
      T* to = dbias.as<T>() + first + k;
      T pull = rows<T>().dot(R, back.weight.data(), tile + k * R);
      *to = dbias.accumulate ? *to + pull : pull;
    }
}

template <class T>
void backward_of(const Run& run) {
  Problem<T> problem(run);
  double dloss = *run.dout[0].as<T>();
  if (run.din[z_student]) back_z(problem, run, dloss);
  if (!run.din[w_student] && !run.din[bias_student]) return;
  Back<T> back(problem, Pull<T>(problem, dloss));
  parallel_for(problem.blocks.count, 1,
               [&](int64_t block, int64_t) { back_block(back, run, block); });
}

void backward(const Run& run) {
  with_floating(run.in[z_student].dtype, [&]<class T>() { backward_of<T>(run); });
}

}  // namespace

extern const Kernel prototype_cross_entropy_cpu = {forward, backward};

}  // namespace protea

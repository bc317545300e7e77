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
//   blocks of prototypes with a running softmax. Gradients to z_student, w_student, bias_student.
//   saves log-sum-exps (S + T), mean prototypes (S + T, P), the tops of the running softmax
//   (blocks, S + T) and, up to kept_elements, the exponentials by blocks; beyond that backward
//   computes the logits again and memory stays O((S + T + K) P)
//   Caron et al. 2021, eq. 3; the pass is that of FlashAttention (Dao et al. 2022)
#include <vector>

#include "../core/scratch.h"
#include "prototype_blocks.h"

namespace protea {
namespace {

// 32 MiB of f32.
constexpr int64_t kept_elements = int64_t{1} << 23;

enum { z_student, w_student, bias_student, z_teacher, w_teacher, bias_teacher, row_weight };
enum { loss, log_sum_exps, means, tops, exponentials };

bool keeps(int64_t rows, const PrototypeBlocks& blocks) {
  return rows * blocks.count * blocks.size <= kept_elements;
}

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
  bool kept = keeps(rows, blocks);
  Shape tiles = kept ? Shape{blocks.count, rows, blocks.size} : Shape{0};
  Outputs outputs{{{Shape{}, dtype},
                   {Shape{rows}, dtype},
                   {Shape{rows, in[z_student].dim(1)}, dtype},
                   {Shape{blocks.count, rows}, dtype},
                   {tiles, dtype}}};
  outputs.reads_in = kept ? 1 << z_student | 1 << row_weight : 0b1111111;
  outputs.reads_out = 0b11110;
  return outputs;
}

namespace {

// The rows of student and teacher, one below the other, and how much each pair counts.
template <class T>
struct Problem {
  LogitRows<T> student, teacher;
  PrototypeBlocks blocks;
  int64_t S, R, P, images, views, teacher_views;
  std::span<const double> pairs;
  const T* row_weight;
  bool kept;

  explicit Problem(const Run& run)
      : student(rows_of(run, z_student, "student_temperature")),
        teacher(rows_of(run, z_teacher, "teacher_temperature")),
        blocks(run.in[w_student].dim(0)),
        S(student.rows),
        R(S + teacher.rows),
        P(student.P),
        images(S / run.attrs.integer("views")),
        views(run.attrs.integer("views")),
        teacher_views(run.attrs.integer("teacher_views")),
        pairs(run.attrs.list("pairs")),
        row_weight(run.in[6] ? run.in[6].as<T>() : nullptr),
        kept(keeps(R, blocks)) {}

  static LogitRows<T> rows_of(const Run& run, int first, const char* temperature) {
    const Array &z = run.in[first], &w = run.in[first + 1], &bias = run.in[first + 2];
    return {z.as<T>(), w.as<T>(), bias ? bias.as<T>() : nullptr,
            z.dim(0),  z.dim(1),  static_cast<T>(1 / run.attrs.number(temperature))};
  }

  // Calls body(s, t, weight) for every pair of a student and a teacher row that counts.
  template <class Body>
  void each_pair(const Body& body) const {
    for (int64_t v = 0; v < views; v++)
      for (int64_t u = 0; u < teacher_views; u++)
        for (int64_t b = 0; b < images; b++) {
          int64_t s = v * images + b;
          double weight = pairs[v * teacher_views + u] * (row_weight ? row_weight[s] : 1.0);
          if (weight != 0) body(s, u * images + b, weight);
        }
  }

  const LogitRows<T>& rows_at(int64_t r) const { return r < S ? student : teacher; }

  void products(int64_t block, T* tile) const {
    student.products(blocks, block, tile);
    teacher.products(blocks, block, tile + S * blocks.size);
  }
};

// What one piece of the prototypes adds up for all rows.
template <class T>
struct Partial {
  std::vector<RunningSoftmax<T>> running;  // (R)
  std::vector<T> mean;                     // (R, P) Σ_k e^(l_k - top) w_k
  std::vector<double> bias;                // (R) Σ_k e^(l_k - top) bias_k, teacher rows only
};

template <class T>
void forward_block(const Problem<T>& problem, int64_t block, T* tile, T* top, Partial<T>& partial) {
  const PrototypeBlocks& blocks = problem.blocks;
  int64_t n = blocks.width(block), P = problem.P;
  const T* bias = problem.student.bias_of(blocks, block);
  problem.products(block, tile);
  for (int64_t r = 0; r < problem.R; r++) {
    const LogitRows<T>& of = problem.rows_at(r);
    T* row = tile + r * blocks.size;
    T shrink = partial.running[r].take(n, of.inverse_temperature, of.bias_of(blocks, block), row);
    top[r] = partial.running[r].top;
    if (shrink != 1) rows<T>().scale(P, shrink, partial.mean.data() + r * P);
    if (bias && r >= problem.S)
      partial.bias[r] = partial.bias[r] * shrink + rows<T>().dot(n, row, bias);
  }
  gemm<T>(problem.R, P, n, {tile, blocks.size}, {problem.student.w + blocks.begin(block) * P, P},
          partial.mean.data(), P, true);
}

template <class T>
std::vector<Partial<T>> forward_pieces(const Problem<T>& problem, const Run& run) {
  const PrototypeBlocks& blocks = problem.blocks;
  int64_t R = problem.R;
  std::vector<Partial<T>> partials(blocks.pieces);
  parallel_for(blocks.count, blocks.per_piece, [&](int64_t begin, int64_t end) {
    Partial<T>& partial = partials[begin / blocks.per_piece];
    partial.running.resize(R);
    partial.mean.resize(R * problem.P);
    partial.bias.resize(R);
    for (int64_t block = begin; block < end; block++) {
      T* tile = problem.kept ? run.out[exponentials].as<T>() + block * R * blocks.size
                             : scratch<T>(0, R * blocks.size);
      forward_block(problem, block, tile, run.out[tops].as<T>() + block * R, partial);
    }
  });
  return partials;
}

// Joins the pieces of row r, in order: its log-sum-exp and mean prototype; returns Σ_k q_k bias_k.
template <class T>
double join_row(const std::vector<Partial<T>>& partials, int64_t r, int64_t P, T* lse, T* mean) {
  double top = -std::numeric_limits<double>::infinity(), sum = 0, bias = 0;
  for (const Partial<T>& part : partials)
    top = std::max(top, static_cast<double>(part.running[r].top));
  for (const Partial<T>& part : partials)
    sum += part.running[r].sum * std::exp(part.running[r].top - top);
  std::fill_n(mean, P, T(0));
  for (const Partial<T>& part : partials) {
    double share = std::exp(part.running[r].top - top) / sum;
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

// The exponentials of a block; `shift` (R) turns them into probabilities: p = e shift.
template <class T>
const T* exponentials_of(const Problem<T>& problem, const Run& run, int64_t block, T* shift) {
  const PrototypeBlocks& blocks = problem.blocks;
  const T* lse = run.out[log_sum_exps].as<T>();
  if (problem.kept) {
    const T* top = run.out[tops].as<T>() + block * problem.R;
    for (int64_t r = 0; r < problem.R; r++) shift[r] = std::exp(top[r] - lse[r]);
    return run.out[exponentials].as<T>() + block * problem.R * blocks.size;
  }
  T* tile = scratch<T>(0, problem.R * blocks.size);
  problem.products(block, tile);
  for (int64_t r = 0; r < problem.R; r++) {
    const LogitRows<T>& of = problem.rows_at(r);
    T* row = tile + r * blocks.size;
    rows<T>().affine_largest(blocks.width(block), of.inverse_temperature, of.bias_of(blocks, block),
                             row);
    rows<T>().exp_sum(blocks.width(block), lse[r], row);
    shift[r] = 1;
  }
  return tile;
}

template <class T>
void back_block(const Problem<T>& problem, const Run& run, const Pull<T>& pull, int64_t block) {
  const PrototypeBlocks& blocks = problem.blocks;
  int64_t P = problem.P, R = problem.R, n = blocks.width(block);
  T *shift = scratch<T>(1, R), *right = scratch<T>(2, R * P);
  const T* tile = exponentials_of(problem, run, block, shift);
  if (const Gradient& dw = run.din[w_student]) {
    for (int64_t r = 0; r < R; r++)
      rows<T>().scaled_copy(P, shift[r], pull.z.data() + r * P, right + r * P);
    gemm<T>(n, P, R, {tile, blocks.size, true}, {right, P}, dw.as<T>() + blocks.begin(block) * P, P,
            dw.accumulate);
  }
  if (const Gradient& dbias = run.din[bias_student]) {
    T* to = dbias.as<T>() + blocks.begin(block);
    if (!dbias.accumulate) std::fill_n(to, n, T(0));
    for (int64_t r = 0; r < R; r++)
      rows<T>().axpy(n, static_cast<T>(pull.weight[r] * shift[r]), tile + r * blocks.size, to);
  }
}

template <class T>
void backward_of(const Run& run) {
  Problem<T> problem(run);
  double dloss = *run.dout[0].as<T>();
  if (run.din[z_student]) back_z(problem, run, dloss);
  if (!run.din[w_student] && !run.din[bias_student]) return;
  Pull<T> pull(problem, dloss);
  parallel_for(problem.blocks.count, 1,
               [&](int64_t block, int64_t) { back_block(problem, run, pull, block); });
}

void backward(const Run& run) {
  with_floating(run.in[z_student].dtype, [&]<class T>() { backward_of<T>(run); });
}

}  // namespace

extern const Kernel prototype_cross_entropy_cpu = {forward, backward};

}  // namespace protea

// prototype_cross_entropy: the DINO loss over views, as attention over prototypes
//   l_s = z_s Wᵀ / temperature_s + bias_s for the student, l_t likewise for the teacher
//   loss = Σ_v Σ_u pairs[v, u] Σ_b row_weight_s CE(softmax(l_t), softmax(l_s)),
//          s = v B + b, t = u B + b
//   z_student (S = V B, P), w_student (K, P), bias_student (K) or none,
//   z_teacher (T = U B, Q), w_teacher (K, Q), bias_teacher (K) or none, row_weight (S) or none;
//   attrs pairs (V U numbers), views V, teacher_views U, student_temperature, teacher_temperature
//   -> loss ()
//   The biases are in units after the temperature: centering passes -centre / temperature.
//   With q = softmax(l_t) and p = softmax(l_s):
//     CE = lse_s - Σ_k q_k l_sk
//     dl_s = p - q,  dz_s = dl_s W / temperature_s,  dW = dl_sᵀ z_s / temperature_s
//   so of each row its log-sum-exp is needed and of each pair Σ_k q_k l_sk, taken in one pass over
//   blocks of prototypes with a running softmax. The teacher and row_weight are constants.
//   saves of each row its largest logit and 1 / Σ_k e^(l_k - largest) (2, S + T), which stay exact
//   where logits are large, the tops of the running softmax (blocks, S + T) and, up to
//   kept_elements, the exponentials (K, S + T); beyond that backward computes the logits again and
//   memory stays O((S + T + K) P). The CUDA kernel saves log-sum-exps (S + T) and mean prototypes
//   Σ_k p_k w_k (S + T, P) instead.
//   A block of logits lies prototype by prototype, (block, S + T): the blocks of W and of the
//   exponentials are then read where they are, and only what all blocks share is packed, once.
//   Caron et al. 2021, eq. 3; the pass is that of FlashAttention (Dao et al. 2022)
#include <vector>

#include "../core/scratch.h"
#include "cross_entropy_backward.h"

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
  bool on_cpu = in[z_student].device == Device::Cpu;
  bool kept = on_cpu && keeps(rows, K);
  Shape tiles = kept ? Shape{K, rows} : Shape{0};
  Outputs outputs{{{Shape{}, dtype},
                   {on_cpu ? Shape{2, rows} : Shape{rows}, dtype},
                   {on_cpu ? Shape{0} : Shape{rows, in[z_student].dim(1)}, dtype},
                   {on_cpu ? Shape{blocks.count, rows} : Shape{0}, dtype},
                   {tiles, dtype}}};
  outputs.reads_in = kept ? 1 << z_student | 1 << w_student | 1 << row_weight : 0b1111111;
  outputs.reads_out = 0b11110;
  outputs.rounded =
      rounded_prototypes(w_student, in[w_student]) | rounded_prototypes(w_teacher, in[w_teacher]);
  outputs.constants = 1 << z_teacher | 1 << w_teacher | 1 << bias_teacher | 1 << row_weight;
  return outputs;
}

namespace {

// What one piece of the prototypes adds up for all rows and pairs: a running softmax, of which
// `top` only grows.
template <class T>
struct Partial {
  std::vector<T> top;         // (R)
  std::vector<double> sum;    // (R) Σ_k e^(l_k - top)
  std::vector<double> cross;  // (pairs, B) Σ_k e^(l_tk - top_t) l_sk

  void start(const Problem<T>& problem) {
    top.assign(problem.R, -std::numeric_limits<T>::infinity());
    sum.assign(problem.R, 0);
    cross.assign(problem.pairs.size() * problem.images, 0);
  }

  // Rows whose top grew since `before`: what they added up counts less.
  void shrink(const Problem<T>& problem, T* before) {
    T* factor = before;
    for (int64_t r = 0; r < problem.R; r++) {
      factor[r] = top[r] == before[r] ? T(1) : std::exp(before[r] - top[r]);
      sum[r] *= factor[r];
    }
    double* of_pair = cross.data();
    for (const ViewPair& pair : problem.pairs)
      for (int64_t b = 0; b < problem.images; b++) *of_pair++ *= factor[problem.S + pair.t + b];
  }
};

// Adds Σ_k e_tk l_sk of a block to each pair; tile (n, R) holds the student's logits and the
// teacher's exponentials.
template <class T>
void add_cross(const Problem<T>& problem, int64_t n, const T* tile, T* sum, double* cross) {
  int64_t B = problem.images, R = problem.R;
  for (const ViewPair& pair : problem.pairs) {
    std::fill_n(sum, B, T(0));
    rows<T>().columns_product_sum(n, B, R, tile + pair.s, tile + problem.S + pair.t, sum);
    for (int64_t b = 0; b < B; b++) *cross++ += sum[b];
  }
}

template <class T>
void forward_block(const PackedRows<T>& packed, int64_t block, T* tile, Partial<T>& partial) {
  const Problem<T>& problem = packed.problem;
  int64_t n = problem.blocks.width(block), R = problem.R, S = problem.S;
  T *before = scratch<T>(1, 2 * R), *sum = before + R, *top = partial.top.data();
  std::copy_n(top, R, before);
  packed.logits(block, tile, top);
  partial.shrink(problem, before);
  std::fill_n(sum, R, T(0));
  rows<T>().columns_exp_sum(n, R - S, R, top + S, tile + S, sum + S);
  add_cross(problem, n, tile, before, partial.cross.data());
  rows<T>().columns_exp_sum(n, S, R, top, tile, sum);
  for (int64_t r = 0; r < R; r++) partial.sum[r] += sum[r];
}

template <class T>
std::vector<Partial<T>> forward_pieces(const Problem<T>& problem, const Run& run) {
  const PrototypeBlocks& blocks = problem.blocks;
  int64_t R = problem.R;
  PackedRows<T> packed(problem);
  std::vector<Partial<T>> partials(blocks.pieces);
  parallel_for(blocks.count, blocks.per_piece, [&](int64_t begin, int64_t end) {
    Partial<T>& partial = partials[begin / blocks.per_piece];
    partial.start(problem);
    for (int64_t block = begin; block < end; block++) {
      T* tile = problem.kept ? run.out[exponentials].as<T>() + blocks.begin(block) * R
                             : scratch<T>(0, R * blocks.size);
      forward_block(packed, block, tile, partial);
      std::copy_n(partial.top.data(), R, run.out[tops].as<T>() + block * R);
    }
  });
  return partials;
}

// The softmax of every row over all pieces, in order.
template <class T>
struct Joined {
  std::vector<T> top;       // (R)
  std::vector<double> sum;  // (R) Σ_k e^(l_k - top)

  Joined(const std::vector<Partial<T>>& partials, int64_t R) : top(partials[0].top), sum(R) {
    for (const Partial<T>& part : partials)
      for (int64_t r = 0; r < R; r++) top[r] = std::max(top[r], part.top[r]);
    for (const Partial<T>& part : partials)
      for (int64_t r = 0; r < R; r++) sum[r] += part.sum[r] * std::exp(part.top[r] - top[r]);
  }

  void save(T* normalizers) const {
    size_t R = top.size();
    std::copy_n(top.data(), R, normalizers);
    for (size_t r = 0; r < R; r++) normalizers[R + r] = static_cast<T>(1 / sum[r]);
  }
};

// Σ weight (lse_s - Σ_k q_k l_sk) over a pair of views; `at` is where its cross sums begin.
template <class T>
double pair_loss(const Problem<T>& problem, const std::vector<Partial<T>>& partials,
                 const Joined<T>& joined, const ViewPair& pair, int64_t at) {
  double total = 0;
  for (int64_t b = 0; b < problem.images; b++) {
    int64_t s = pair.s + b, t = problem.S + pair.t + b;
    double weight = problem.weight(pair, b), product = 0;
    if (weight == 0) continue;
    for (const Partial<T>& part : partials)
      product += part.cross[at + b] * std::exp(part.top[t] - joined.top[t]);
    total += weight * (joined.top[s] + std::log(joined.sum[s]) - product / joined.sum[t]);
  }
  return total;
}

template <class T>
void forward_of(const Run& run) {
  Problem<T> problem(run);
  std::vector<Partial<T>> partials = forward_pieces(problem, run);
  Joined<T> joined(partials, problem.R);
  joined.save(run.out[normalizers].as<T>());
  double total = 0;
  int64_t at = 0;
  for (const ViewPair& pair : problem.pairs) {
    total += pair_loss(problem, partials, joined, pair, at);
    at += problem.images;
  }
  *run.out[loss].as<T>() = static_cast<T>(total);
}

void forward(const Run& run) {
  with_floating(run.in[z_student].dtype, [&]<class T>() { forward_of<T>(run); });
}

template <class T>
void backward_of(const Run& run) {
  Problem<T> problem(run);
  const PrototypeBlocks& blocks = problem.blocks;
  const Gradient& dz = run.din[z_student];
  if (!dz && !run.din[w_student] && !run.din[bias_student]) return;
  Back<T> back(problem, *run.dout[0].as<T>());
  std::vector<std::vector<T>> pieces(dz ? blocks.pieces : 0);
  parallel_for(blocks.count, blocks.per_piece, [&](int64_t begin, int64_t end) {
    T* piece = nullptr;
    if (dz) {
      pieces[begin / blocks.per_piece].assign(problem.S * problem.P, T(0));
      piece = pieces[begin / blocks.per_piece].data();
    }
    for (int64_t block = begin; block < end; block++) back_block(back, run, block, piece);
  });
  if (dz) join_dz(problem, pieces, dz);
}

void backward(const Run& run) {
  with_floating(run.in[z_student].dtype, [&]<class T>() { backward_of<T>(run); });
}

}  // namespace

extern const Kernel prototype_cross_entropy_cpu = {forward, backward};

}  // namespace protea

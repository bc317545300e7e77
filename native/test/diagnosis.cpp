// The kernels of diagnosis on shapes that end beside every tile, small and large groups, one thread
// and several: against the rules as they are defined, in double. Under sanitizers as well.
#include <cmath>
#include <cstdint>
#include <vector>

#include "../core/parallel.h"
#include "../core/random.h"
#include "../core/runtime.h"
#include "check.h"

namespace protea {
namespace {

struct Set {
  const char* name;
  int64_t K, P, centres;  // rows lie around this many directions
  double spread;
};

template <class T>
std::vector<T> drawn(const Set& s) {
  Philox random({5, 0, static_cast<uint32_t>(s.K), 0});
  std::vector<double> centre(s.centres * s.P);
  for (double& x : centre) x = random.uniform(-1, 1);
  std::vector<T> w(s.K * s.P);
  for (int64_t i = 0; i < s.K * s.P; i++)
    w[i] = static_cast<T>(centre[(i / s.P) % s.centres * s.P + i % s.P] +
                          s.spread * random.uniform(-1, 1));
  if (s.K > 2) std::fill_n(w.begin() + s.P, s.P, T(0));  // a row of no length
  return w;
}

template <class T>
std::vector<T> read(Runtime& runtime, const Tensor& tensor) {
  std::vector<T> values(tensor.shape.elements());
  runtime.read(tensor, values.data());
  runtime.wait();
  return values;
}

template <class T>
class Check {
 public:
  explicit Check(const Set& s) : s_(s), w_(drawn<T>(s)), norm_(s.K) {
    for (int64_t k = 0; k < s.K; k++) norm_[k] = std::sqrt(dot(k, k));
    runtime_.set_poison(true);
    tensor_ = runtime_.make(Shape{s.K, s.P}, dtype_of<T>());
    runtime_.write(tensor_, w_.data());
  }

  void run() {
    std::vector<double> epsilons = {0.02, 0.3, 0.001, 0.08};
    Attrs attrs;
    attrs.set("epsilons", epsilons);
    attrs.set("components", 2);
    auto found =
        read<int32_t>(runtime_, runtime_.call(op("unique_prototypes"), {tensor_}, attrs)[0]);
    for (size_t e = 0; e < epsilons.size(); e++) {
      expect_rows("greedy", epsilons[e], found.data() + e * s_.K, greedy(epsilons[e]));
      expect_rows("components", epsilons[e], found.data() + (epsilons.size() + e) * s_.K,
                  components(epsilons[e]));
    }
    if (s_.K < 2) return;
    Tensor leader = runtime_.make(Shape{s_.K}, Dtype::I32);
    runtime_.write(leader, found.data());
    nearest({tensor_});
    nearest({tensor_, leader});
    if (s_.K >= 4) map();
  }

 private:
  double dot(int64_t i, int64_t j) const {
    double sum = 0;
    for (int64_t p = 0; p < s_.P; p++)
      sum += static_cast<double>(w_[i * s_.P + p]) * static_cast<double>(w_[j * s_.P + p]);
    return sum;
  }

  double distance(int64_t i, int64_t j) const {
    return 1 - dot(i, j) / std::max(norm_[i], 1e-12) / std::max(norm_[j], 1e-12);
  }

  std::vector<int32_t> greedy(double epsilon) const {
    std::vector<int32_t> leader;
    for (int32_t k = 0; k < s_.K; k++) {
      int32_t l = 0;
      while (l < k && !(leader[l] == l && distance(k, l) < epsilon)) l++;
      leader.push_back(l);
    }
    return leader;
  }

  std::vector<int32_t> components(double epsilon) const {
    std::vector<int32_t> of(s_.K, -1), open;
    for (int32_t first = 0; first < s_.K; first++) {
      if (of[first] >= 0) continue;
      of[first] = first;
      for (open = {first}; !open.empty();) {
        int32_t k = open.back();
        open.pop_back();
        for (int32_t j = 0; j < s_.K; j++)
          if (of[j] < 0 && distance(k, j) < epsilon) {
            of[j] = first;
            open.push_back(j);
          }
      }
    }
    return of;
  }

  std::string name(const char* what) const { return std::string(s_.name) + ": " + what; }

  void expect_rows(const char* rule, double epsilon, const int32_t* found,
                   const std::vector<int32_t>& expected) const {
    test::expect(std::equal(expected.begin(), expected.end(), found),
                 name(rule) + " at " + std::to_string(epsilon));
  }

  void nearest(const std::vector<Tensor>& in) {
    auto out = runtime_.call(op("nearest_prototypes"), in, {});
    auto found = read<double>(runtime_, out[1]);
    for (int64_t i = 0; i < s_.K; i++) {
      double least = 3;
      for (int64_t j = 0; j < s_.K; j++)
        if (j != i) least = std::min(least, distance(i, j));
      if (std::fabs(found[i] - std::max(0.0, least)) > 1e-5)
        return test::expect(false, name("nearest of ") + std::to_string(i));
    }
    test::expect(true, "nearest");
  }

  void map() {
    Tensor start = runtime_.make(Shape{s_.K, 2}, dtype_of<T>());
    std::vector<T> places(2 * s_.K);
    Philox random({6, 0, 0, 0});
    for (T& x : places) x = static_cast<T>(1e-4 * random.uniform(-1, 1));
    runtime_.write(start, places.data());
    Attrs attrs;
    attrs.set("perplexity", std::min(10.0, static_cast<double>(s_.K) / 3));
    attrs.set("iterations", 6);
    auto found = read<T>(runtime_, runtime_.call(op("tsne"), {tensor_, start}, attrs)[0]);
    bool finite = true;
    for (T x : found) finite = finite && std::isfinite(x);
    test::expect(finite, name("map"));
  }

  Set s_;
  std::vector<T> w_;
  std::vector<double> norm_;
  Runtime runtime_;
  Tensor tensor_;
};

}  // namespace

void test_diagnosis() {
  const Set sets[] = {{"one row", 1, 5, 1, 0},
                      {"two rows", 2, 1, 1, 1},
                      {"all equal", 300, 17, 1, 0},
                      {"two wide groups", 700, 200, 2, 0.05},
                      {"small groups", 513, 256, 130, 0.1},
                      {"chains", 600, 3, 40, 0.3},
                      {"a chain of blocks", 900, 12, 3, 0.8},
                      {"none near", 257, 130, 257, 1}};
  int threads = thread_count();
  for (int many : {1, 3}) {
    set_thread_count(many);
    for (const Set& s : sets) {
      Check<float>(s).run();
      Check<double>(s).run();
    }
  }
  set_thread_count(threads);
}

}  // namespace protea

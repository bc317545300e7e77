// Parameters that the runtime rounds once for all ops: what they give is what each op gives that
// rounds them by itself, and a parameter that has changed is rounded again.
#include <cmath>
#include <vector>

#include "../../core/runtime.h"
#include "../check.h"

namespace protea {
namespace {

using Values = std::vector<float>;

// A runtime that computes in bf16 on the GPU; `kept`: it rounds parameters, else its ops do.
struct Graph {
  Runtime runtime;

  explicit Graph(bool kept) {
    if (kept) {
      runtime.set_precision(Precision::BF16);
      return;
    }
    Accelerator& accelerator = runtime.accelerator();
    runtime.queue().push([&accelerator] { accelerator.set_precision(Precision::BF16); });
  }

  Tensor made(const Shape& shape, float phase) {
    Tensor tensor = runtime.make(shape, Dtype::F32, Device::Cuda);
    Values values(shape.elements());
    for (size_t i = 0; i < values.size(); i++)
      values[i] = std::sin(phase + 0.7f * static_cast<float>(i));
    runtime.write(tensor, values.data());
    return tensor;
  }
  Tensor call(const char* name, std::vector<Tensor> in, Attrs attrs = {}) {
    return runtime.call(op(name), std::move(in), std::move(attrs))[0];
  }
  Tensor product(const Tensor& x, const Tensor& w) { return call("linear", {x, w, {}}); }

  Values read(const Tensor& tensor) {
    Values values(tensor.shape.elements());
    runtime.read(tensor, values.data());
    runtime.wait();
    return values;
  }
};

const void* rounded_of(const Tensor& tensor) { return tensor.array().rounded; }

Attrs attrs_of(std::initializer_list<std::pair<const char*, std::vector<double>>> list) {
  Attrs attrs;
  for (const auto& [name, values] : list) attrs.set(name, values);
  return attrs;
}

void follows_changes() {
  Graph g(true);
  Tensor x = g.made({4, 9}, 1), w = g.made({6, 9}, 2), v = g.made({6, 9}, 3);
  g.product(x, w);
  const void* first = rounded_of(w);
  test::expect(first && !rounded_of(x), "a weight is rounded, a value is not");
  g.product(x, w);
  test::expect(rounded_of(w) == first, "it is rounded once for two products");
  g.call("ema_update", {w, v, {}}, attrs_of({{"momentum", {0}}}));
  test::expect(!rounded_of(w), "what has changed is not kept");
  test::expect(g.read(g.product(x, w)) == g.read(g.product(x, v)), "products follow the change");
  Values zeros(w.shape.elements());
  g.runtime.write(w, zeros.data());
  test::expect(g.read(g.product(x, w)) == Values(24), "products follow what is written");
}

// AdamW rounds what it changes itself; rows of 9 numbers are filled up, those of 16 are not.
void adamw_rounds_anew(int64_t columns) {
  Graph g(true);
  Tensor x = g.made({4, columns}, 1), w = g.made({6, columns}, 2),
         teacher = g.made({6, columns}, 3);
  g.product(x, w);
  g.product(x, teacher);
  const void *first = rounded_of(w), *of_teacher = rounded_of(teacher);
  Attrs attrs = attrs_of({{"lr", {0.3}},
                          {"weight_decay", {0.1}},
                          {"step", {1}},
                          {"clip_group", {-1}},
                          {"beta1", {0.9}},
                          {"beta2", {0.99}},
                          {"eps", {1e-8}},
                          {"momentum", {0.5}}});
  Values zeros(w.shape.elements());
  Tensor m = g.made({6, columns}, 0), v = g.made({6, columns}, 0);
  for (const Tensor& moment : {m, v}) g.runtime.write(moment, zeros.data());
  auto update = [&](const Tensor& guard) {
    std::vector<Tensor> in = {guard, w, g.made({6, columns}, 5), m, v, teacher};
    g.call("adamw", in, attrs);
  };
  auto is_right = [&](const Tensor& of) {
    Tensor same = g.runtime.make(of.shape, Dtype::F32, Device::Cuda);
    Values values = g.read(of);
    g.runtime.write(same, values.data());
    return g.read(g.product(x, of)) == g.read(g.product(x, same));
  };
  Values before = g.read(w);
  update({});
  test::expect(rounded_of(w) == first && rounded_of(teacher) == of_teacher && g.read(w) != before,
               "what adamw changed stays rounded");
  test::expect(is_right(w) && is_right(teacher), "and is rounded anew, its teacher too");
  Tensor guard = g.runtime.make({}, Dtype::F32, Device::Cuda);
  const float infinite = INFINITY;
  g.runtime.write(guard, &infinite);
  before = g.read(w);
  update(guard);
  test::expect(g.read(w) == before && is_right(w) && is_right(teacher),
               "a step that is not taken leaves what is rounded");
}

void follows_shapes() {
  Graph g(true);
  Tensor w = g.made({4, 6}, 2), turned = g.runtime.reshape(w, {2, 12});
  Tensor x = g.made({3, 6}, 1), longer = g.made({3, 12}, 1);
  g.product(x, w);
  test::expect(!rounded_of(turned), "rows of another length are not those that were rounded");
  test::expect(g.read(g.product(longer, turned)) == g.read(g.product(longer, g.made({2, 12}, 2))),
               "products by the same memory under another shape");
}

// What is queued behind a failure is skipped, but not what the runtime believes from then on.
void survives_a_failure() {
  Graph g(true);
  Tensor x = g.made({4, 9}, 1), w = g.made({6, 9}, 2);
  Values expected = g.read(g.product(x, g.made({6, 9}, 2)));
  g.runtime.queue().push([] { throw Error(Code::OutOfMemory, "planted"); });
  g.product(x, w);
  bool failed = false;
  try {
    g.runtime.wait();
  } catch (const Error&) {
    failed = true;
  }
  test::expect(failed && rounded_of(w), "a parameter is rounded behind a failure");
  test::expect(g.read(g.product(x, w)) == expected, "and is right after it");
}

void leaves_f32_alone() {
  Graph g(true);
  Tensor x = g.made({4, 9}, 1), w = g.made({6, 9}, 2);
  g.product(x, w);
  g.runtime.set_precision(Precision::F32);
  test::expect(g.read(g.product(x, w)) == g.read(g.product(x, g.made({6, 9}, 2))),
               "in f32 nothing is rounded");
}

// A network of two layers: its output and the gradients of its parameters.
std::vector<Values> layers(Graph& g) {
  Tensor x = g.made({40, 24}, 1), w = g.made({56, 24}, 2), b = g.made({56}, 3);
  Tensor v = g.made({24, 56}, 4), c = g.made({24}, 5);
  std::vector<Tensor> wanted = {w, b, v, c};
  for (const Tensor& parameter : wanted) g.runtime.tape().watch(parameter);
  Tensor hidden = g.call("linear_gelu", {x, w, b}, attrs_of({{"rounded", {1}}}));
  Tensor branch = g.call("linear", {hidden, v, c}, attrs_of({{"rounded", {1}}}));
  Tensor y = g.call("residual", {x, branch, {}, {}});
  std::vector<Values> found = {g.read(y)};
  for (const Tensor& slope : g.runtime.backward(g.call("dot", {y, g.made({40, 24}, 6)}), wanted))
    found.push_back(g.read(slope));
  return found;
}

// Prototypes that fill the tiles of the kernels for bf16: loss and gradient, sums over them.
std::vector<Values> prototypes(Graph& g) {
  Tensor z = g.made({6, 64}, 1), w = g.made({256, 64}, 2), y = g.made({3, 64}, 3);
  Tensor v = g.made({256, 64}, 4);
  std::vector<Tensor> wanted = {w};
  g.runtime.tape().watch(w);
  Tensor loss = g.call("prototype_cross_entropy", {z, w, {}, y, v, {}, {}},
                       attrs_of({{"student_temperature", {0.5}},
                                 {"teacher_temperature", {0.3}},
                                 {"views", {2}},
                                 {"teacher_views", {1}},
                                 {"pairs", {0.5, 0.5}}}));
  std::vector<Values> found = {g.read(loss), g.read(g.runtime.backward(loss, wanted)[0])};
  found.push_back(
      g.read(g.call("prototype_marginal", {z, v, {}}, attrs_of({{"temperature", {0.5}}}))));
  found.push_back(g.read(g.call("prototype_sinkhorn", {z, v},
                                attrs_of({{"temperature", {0.5}}, {"iterations", {2}}}))));
  return found;
}

}  // namespace

void test_rounding() {
  follows_changes();
  adamw_rounds_anew(9);
  adamw_rounds_anew(16);
  follows_shapes();
  survives_a_failure();
  leaves_f32_alone();
  for (auto results : {layers, prototypes}) {
    Graph kept(true), alone(false);
    test::expect(results(kept) == results(alone),
                 "rounded once or by each op, the bits are the same");
  }
}

}  // namespace protea

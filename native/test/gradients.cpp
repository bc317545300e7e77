// The walk back through the tape where gradients share memory: a residual hands its own on, and
// what is added to one of them must not be seen by the other.
#include <vector>

#include "../core/runtime.h"
#include "check.h"

namespace protea {
namespace {

// A runtime with one parameter p; losses are dot(result, c), so the gradient of a result is c.
struct Graph {
  Device device;
  Runtime runtime;
  Tensor p, c;

  explicit Graph(Device on, const Shape& shape = {3, 5}) : device(on) {
    runtime.set_poison(true);
    p = made(shape, 1);
    c = made(shape, 2);
    runtime.tape().watch(p);
  }

  Tensor made(const Shape& shape, float begin) {
    Tensor tensor = runtime.make(shape, Dtype::F32, device);
    std::vector<float> values(shape.elements());
    for (size_t i = 0; i < values.size(); i++) values[i] = begin + 0.25f * static_cast<float>(i);
    runtime.write(tensor, values.data());
    return tensor;
  }

  Tensor call(const char* name, std::vector<Tensor> in, Attrs attrs = {}) {
    return runtime.call(op(name), std::move(in), std::move(attrs))[0];
  }
  Tensor scaled(const Tensor& x, double by) {
    Attrs attrs;
    attrs.set("weights", by);
    return call("weighted_sum", {x}, attrs);
  }
  Tensor residual(const Tensor& x, const Tensor& branch) {
    return call("residual", {x, branch, {}, {}});
  }
  std::vector<Tensor> back(const Tensor& result, std::vector<Tensor> wrt) {
    return runtime.backward(call("dot", {result, c}), wrt);
  }

  std::vector<float> read(const Tensor& tensor) {
    std::vector<float> values(tensor.shape.elements());
    runtime.read(tensor, values.data());
    runtime.wait();
    return values;
  }
  // Is a gradient c, so many times? The numbers are exact.
  void expect_times(const Tensor& gradient, float times, const char* what) {
    std::vector<float> found = read(gradient), unit = read(c);
    bool same = true;
    for (size_t i = 0; i < unit.size(); i++) same = same && found[i] == times * unit[i];
    test::expect(same, std::string(what) + " on " + name_of(device));
  }
};

void adds_to_one_alone(Device device) {
  Graph g(device);
  Tensor first = g.scaled(g.p, 2), second = g.scaled(g.p, 3);
  Tensor y = g.residual(g.residual(g.p, first), second);
  g.expect_times(g.back(y, {g.p})[0], 6, "what is added to x leaves the branch alone");
}

void takes_one_tensor_twice(Device device) {
  Graph g(device);
  g.expect_times(g.back(g.residual(g.p, g.p), {g.p})[0], 2, "x is its own branch");
}

void adds_to_what_is_there(Device device) {
  Graph g(device);
  Tensor branch = g.scaled(g.p, 4), y = g.residual(g.p, branch);
  Tensor sum = g.residual(y, y);
  g.expect_times(g.back(sum, {g.p})[0], 10, "a residual of residuals");
}

void goes_through_reshapes(Device device) {
  Graph g(device);
  Tensor flat = g.runtime.reshape(g.p, {1, 15});
  Tensor y = g.residual(flat, g.scaled(flat, 0.5));
  Tensor result = g.runtime.reshape(y, g.p.shape);
  g.expect_times(g.back(result, {g.p})[0], 1.5, "between reshapes");
}

void gives_memory_of_their_own(Device device) {
  Graph g(device);
  Tensor q = g.made(g.p.shape, 3);
  g.runtime.tape().watch(q);
  std::vector<Tensor> found = g.back(g.residual(g.p, q), {g.p, q});
  g.expect_times(found[0], 1, "the gradient of x");
  g.expect_times(found[1], 1, "the gradient of the branch");
  test::expect(found[0].storage != found[1].storage, "gradients given away share no memory");
}

// A handle that is freed asks for nothing; what goes through its tensor is not lost.
void goes_through_freed_tensors(Device device) {
  Graph g(device);
  Tensor q = g.made(g.p.shape, 3), middle = g.scaled(g.p, 4);
  g.runtime.tape().watch(q);
  Tensor y = g.residual(g.residual(g.p, middle), q);
  g.runtime.tape().unwatch(q);
  g.runtime.tape().unwatch(middle);
  test::expect(!g.runtime.tape().tracks(q), "a freed tensor is forgotten");
  std::vector<Tensor> found = g.back(y, {g.p, q});
  g.expect_times(found[0], 5, "past freed tensors");
  test::expect(!found[1], "a freed tensor gets no gradient");
}

// In a branch with a scale only the gradient of x is passed on.
void scales_the_branch(Device device) {
  Graph g(device);
  Tensor gamma = g.runtime.make({5}, Dtype::F32, device);
  std::vector<float> halves(5, 0.5f);
  g.runtime.write(gamma, halves.data());
  Tensor y = g.call("residual", {g.p, g.scaled(g.p, 4), gamma, {}});
  g.expect_times(g.back(y, {g.p})[0], 3, "with gamma");
}

// A step needs the gradient of the sum and that of one term, not three at a time.
void needs_no_copies(Device device) {
  Graph g(device, {64, 64});
  Tensor y = g.residual(g.scaled(g.p, 1), g.scaled(g.p, 2));
  Tensor loss = g.call("dot", {y, g.c});
  Arena& arena = g.runtime.arena(device);
  size_t before = arena.use().live;
  arena.reset_peak();
  Tensor wanted[] = {g.p};
  g.runtime.backward(loss, wanted);
  test::expect(arena.use().peak - before < 3 * g.c.bytes(),
               std::string("a residual's gradients take no memory on ") + name_of(device));
  g.runtime.wait();
}

}  // namespace

void test_gradients(Device device) {
  adds_to_one_alone(device);
  takes_one_tensor_twice(device);
  adds_to_what_is_there(device);
  goes_through_reshapes(device);
  gives_memory_of_their_own(device);
  goes_through_freed_tensors(device);
  scales_the_branch(device);
  needs_no_copies(device);
}

}  // namespace protea

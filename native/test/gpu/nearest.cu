// The search for the nearest rows against all similarities, summed up in the same order: the same
// candidates, bit for bit, whichever way each of them was found.
#include "../../cuda/nearest.h"

#include <algorithm>
#include <cstring>

#include "../../core/random.h"
#include "arrays.h"

namespace protea {
namespace {

using gpu::Candidate;
using Rows = std::vector<float>;

struct Cloud {
  int64_t rows, depth;
  double spread;  // of directions around one of them; above 1: everywhere
  int64_t distinct;
};

// Row i is a copy of row i % distinct.
Rows directions(const Cloud& cloud) {
  Rows values(cloud.rows * cloud.depth);
  for (int64_t i = 0; i < cloud.rows; i++) {
    Philox random({5, 0, static_cast<uint32_t>(i % cloud.distinct), 0});
    float* row = &values[i * cloud.depth];
    double square = 0;
    for (int64_t k = 0; k < cloud.depth; k++) {
      double noise = random.uniform(-1, 1), centre = cloud.spread > 1 ? 0 : 1 + 0.1 * double(k % 7);
      row[k] = static_cast<float>(centre + cloud.spread * noise);
      square += static_cast<double>(row[k]) * row[k];
    }
    for (int64_t k = 0; k < cloud.depth; k++)
      row[k] = static_cast<float>(row[k] / std::sqrt(square));
  }
  return values;
}

float similarity(const Rows& u, int64_t depth, int64_t i, int64_t j) {
  float sum = 0;
  for (int64_t k = 0; k < depth; k++) {
#ifdef __CUDACC__
    sum = std::fmaf(u[i * depth + k], u[j * depth + k], sum);
#else
    sum += u[i * depth + k] * u[j * depth + k];
#endif
  }
  return sum;
}

// The larger similarity, of equal ones and of copies the lower row.
Candidate candidate_of(float s, int64_t row) {
  s = std::min(s, gpu::copies);
  uint32_t bits;
  std::memcpy(&bits, &s, sizeof bits);
  Candidate rank = bits >> 31 ? ~bits : bits | 0x80000000u;
  return rank << 32 | (0xffffffffu - static_cast<uint32_t>(row));
}

// Rows are given with lengths that are powers of two, by which no direction is rounded.
bool finds_the_nearest(const Cloud& cloud) {
  Rows u = directions(cloud);
  test::Device32 device;
  Rows inverse(cloud.rows), x = u;
  for (int64_t i = 0; i < cloud.rows; i++) {
    inverse[i] = std::ldexp(1.0f, int(i % 5) - 2);
    for (int64_t k = 0; k < cloud.depth; k++) x[i * cloud.depth + k] /= inverse[i];
  }
  float *from = device.make(x), *lengths = device.make(inverse);
  float* best = device.make(Rows(2 * cloud.rows));
  gpu::search_nearest(device.gpu, {from, lengths, cloud.rows, cloud.depth},
                      reinterpret_cast<Candidate*>(best));
  std::vector<Candidate> found(cloud.rows);
  device.gpu.download(found.data(), best, found.size() * sizeof(Candidate))();
  for (int64_t i = 0; i < cloud.rows; i++) {
    Candidate expected = 0;
    for (int64_t j = 0; j < cloud.rows; j++)
      if (j != i) expected = std::max(expected, candidate_of(similarity(u, cloud.depth, i, j), j));
    if (found[i] != expected) return false;
  }
  return true;
}

}  // namespace

void test_nearest() {
  auto check = [](const char* what, bool (*body)()) { test::every_schedule(what, body); };
  check("a single row", [] { return finds_the_nearest({1, 5, 2, 1}); });
  check("directions everywhere", [] { return finds_the_nearest({150, 70, 2, 150}); });
  check("more similar than f16 can tell", [] { return finds_the_nearest({140, 40, 0.02, 140}); });
  check("copies", [] { return finds_the_nearest({140, 24, 2, 6}); });
  check("all alike", [] { return finds_the_nearest({130, 3, 2, 1}); });
}

}  // namespace protea

#pragma once
#include <cstdint>
#include <type_traits>

namespace protea {

// Calls body(begin, end) over [0, count) in pieces of `grain`, on all threads of the pool, and
// returns when all are done. Piece boundaries depend on count and grain alone, so a result that is
// written per piece has the same bits on any number of threads. The first exception is rethrown.
// A call from inside a body runs in place.
template <class Body>
void parallel_for(int64_t count, int64_t grain, Body&& body);

int thread_count();
void set_thread_count(int threads);  // at least 1; PROTEA_THREADS sets the start value

namespace detail {
using Piece = void (*)(void* body, int64_t begin, int64_t end);
void run_pieces(int64_t count, int64_t grain, Piece piece, void* body);
}  // namespace detail

template <class Body>
void parallel_for(int64_t count, int64_t grain, Body&& body) {
  using Plain = std::remove_reference_t<Body>;
  detail::run_pieces(
      count, grain,
      [](void* erased, int64_t begin, int64_t end) { (*static_cast<Plain*>(erased))(begin, end); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

}  // namespace protea

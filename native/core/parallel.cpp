#include "parallel.h"

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace protea {
namespace {

thread_local bool inside_piece = false;

// Workers spin briefly for the next job, because a training step is a run of short ones, then
// sleep.
constexpr int spins_before_sleep = 4000;

struct Job {
  int64_t count, grain;
  detail::Piece piece;
  void* body;
  std::atomic<int64_t> next{0};
  std::atomic<int> running{0};
  std::exception_ptr failure;
  std::mutex failure_mutex;

  void work() {
    inside_piece = true;
    for (int64_t begin; (begin = next.fetch_add(grain)) < count;) {
      try {
        piece(body, begin, begin + grain < count ? begin + grain : count);
      } catch (...) {
        std::lock_guard lock(failure_mutex);
        if (!failure) failure = std::current_exception();
        next.store(count);
      }
    }
    inside_piece = false;
  }
};

int threads_at_start() {
  if (const char* text = std::getenv("PROTEA_THREADS")) {
    int asked = std::atoi(text);
    if (asked > 0) return asked;
  }
  unsigned cores = std::thread::hardware_concurrency();
  return cores ? static_cast<int>(cores) : 1;
}

class Pool {
 public:
  Pool() : threads_(threads_at_start()) {}

  int threads() const { return threads_; }

  void resize(int threads) {
    std::lock_guard one_caller(caller_);
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      generation_.fetch_add(1);
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
    stopping_ = false;
    threads_ = threads;
  }

  // One job at a time; a second caller (another runtime of the process) works alone.
  void run(Job& job) {
    std::unique_lock one_caller(caller_, std::try_to_lock);
    if (!one_caller || threads_ == 1) return job.work();
    while (static_cast<int>(workers_.size()) < threads_ - 1)
      workers_.emplace_back([this, seen = generation_.load()]() mutable { serve(seen); });
    {
      std::lock_guard lock(mutex_);
      job_ = &job;
      generation_.fetch_add(1);
    }
    wake_.notify_all();
    job.work();
    {
      std::lock_guard lock(mutex_);
      job_ = nullptr;  // a worker that wakes late finds nothing
    }
    while (job.running.load(std::memory_order_acquire)) std::this_thread::yield();
  }

 private:
  void serve(uint64_t seen) {
    for (;;) {
      for (int i = 0; i < spins_before_sleep && generation_.load() == seen; i++) pause();
      Job* job;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return generation_.load() != seen; });
        seen = generation_.load();
        if (stopping_) return;
        job = job_;
        if (job) job->running.fetch_add(1);
      }
      if (!job) continue;
      job->work();
      job->running.fetch_sub(1, std::memory_order_release);
    }
  }

  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }

  std::mutex caller_, mutex_;
  std::condition_variable wake_;
  std::vector<std::thread> workers_;
  std::atomic<uint64_t> generation_{0};
  Job* job_ = nullptr;
  bool stopping_ = false;
  std::atomic<int> threads_;  // read by kernels that cut their work while it may be changed
};

Pool& pool() {
  static Pool* instance = new Pool;  // never destroyed: work may be running while the process ends
  return *instance;
}

}  // namespace

int thread_count() { return pool().threads(); }

void set_thread_count(int threads) { pool().resize(threads < 1 ? 1 : threads); }

void detail::run_pieces(int64_t count, int64_t grain, Piece piece, void* body) {
  if (count <= 0) return;
  if (grain < 1) grain = 1;
  Job job{count, grain, piece, body, {}, {}, {}, {}};
  if (inside_piece || count <= grain) {
    // The same pieces in order: boundaries must not depend on where the call comes from.
    for (int64_t begin = 0; begin < count; begin += grain)
      piece(body, begin, begin + grain < count ? begin + grain : count);
    return;
  }
  pool().run(job);
  if (job.failure) std::rethrow_exception(job.failure);
}

}  // namespace protea

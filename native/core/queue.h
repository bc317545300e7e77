#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace protea {

// The CPU's stream: work runs in order on one thread of its own, so the caller never waits. After a
// failure the following work is skipped until the next report takes the error.
class Queue {
 public:
  using Work = std::function<void()>;
  using Report = std::function<void(std::exception_ptr)>;

  Queue();
  ~Queue();  // finishes the work at hand and drops the rest

  void stop();

  // Blocks until everything queued so far has run or was skipped; errors stay for the next report.
  void drain();

  // `always`: runs even after a failure, for what the caller will take as done.
  void push(Work work, bool always = false);

  // Runs after all earlier work and receives its first error, or null.
  void report(Report report);

  // Tasks since the start: those that were queued, and those that have run, were skipped or failed.
  uint64_t queued() const { return queued_; }
  uint64_t ended() const { return ended_; }

 private:
  struct Task {
    Work work;
    Report report;
    bool always = false;
  };

  void put(Task task);
  void serve();
  void run(Task& task);

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> tasks_;
  std::exception_ptr failure_;
  bool stopping_ = false;
  std::atomic<uint64_t> queued_ = 0, ended_ = 0;
  std::thread thread_;
};

}  // namespace protea

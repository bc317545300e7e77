#include "queue.h"

#include <future>

namespace protea {

Queue::Queue() : thread_([this] { serve(); }) {}

Queue::~Queue() { stop(); }

void Queue::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    tasks_.clear();
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Queue::push(Work work, bool always) { put({std::move(work), nullptr, always}); }

void Queue::report(Report report) { put({nullptr, std::move(report), false}); }

void Queue::put(Task task) {
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    tasks_.push_back(std::move(task));
    queued_++;
  }
  wake_.notify_one();
}

void Queue::drain() {
  std::promise<void> done;
  put({[&] { done.set_value(); }, nullptr, true});
  done.get_future().get();
}

void Queue::serve() {
  for (;;) {
    Task task;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || !tasks_.empty(); });
      if (stopping_) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    run(task);
    ended_++;
  }
}

void Queue::run(Task& task) {
  if (task.report) {
    std::exception_ptr error = std::move(failure_);
    failure_ = nullptr;
    task.report(error);
    return;
  }
  if (failure_ && !task.always) return;
  try {
    task.work();
  } catch (...) {
    if (!failure_) failure_ = std::current_exception();
  }
}

}  // namespace protea

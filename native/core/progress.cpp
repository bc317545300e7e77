#include "progress.h"

#include <atomic>

namespace protea {
namespace {

std::atomic<double> share_done{0};

}  // namespace

void report_progress(double share) { share_done.store(share, std::memory_order_relaxed); }

double progress() { return share_done.load(std::memory_order_relaxed); }

}  // namespace protea

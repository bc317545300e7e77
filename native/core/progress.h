#pragma once

namespace protea {

// How far the long kernel that runs now has come, in [0, 1]: kernels that may take seconds say it,
// any thread may ask. Only for whoever waits; nothing is computed from it.
void report_progress(double share);
double progress();

}  // namespace protea

// Refreshing in background workers: one a view, some at once.
#pragma once

#include "refresh/perform.hpp"

namespace wc::refresh {

// Refreshes jobs in that order, at most limit at once; outcomes in the order of the jobs. Where no worker can be had
// and none is running, the next view is refreshed in the calling session. Whatever ends this call ends the workers.
// Throws Error: cancel, shutdown.
std::vector<Outcome> run_in_workers(const std::vector<Job> &jobs, int limit);

} // namespace wc::refresh

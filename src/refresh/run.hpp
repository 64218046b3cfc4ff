// One view from beginning to end: its refresh, its outcome, its row in the log.
#pragma once

#include "refresh/perform.hpp"

namespace wc::refresh {

// In subtransactions of the open transaction. Throws what ends the statement (cancel, shutdown).
Outcome run_here(const Job &job);

// In transactions of its own, where none is open: in a worker. stopped: the SQLSTATE to report when the worker was told
// to stop, asked only then.
Outcome run_alone(const Job &job, int (*stopped)());

// A failure that kept a refresh from running at all (no worker could say more), logged in the open transaction.
Outcome fail_here(const Job &job, int sqlstate, const std::string &reason);

} // namespace wc::refresh

// Statements that an application repeats in a loop (N+1): more than whitecross.n_plus_one_threshold executions of one
// pattern at top level within whitecross.n_plus_one_window, in one session, or in several sessions together.
#pragma once

#include "observe/findings.hpp"

namespace wc::observe::bursts {

// Subscribes to the server's start. Called once, by observe::init().
void init();

// An execution that has ended, or failed. For any state that the end of a statement can be in, PG_CATCH too: it neither
// allocates nor raises. While a session is in a burst this touches memory that other sessions write once a second.
void note(const Statement &statement) noexcept;

// What was found, for who may see it, the latest first; see findings.
std::vector<findings::Finding> list();

// Forgets what was found; returns how much that was.
int reset();

} // namespace wc::observe::bursts

// Loops that an application spreads over its sessions: executions of one statement by all sessions of one role,
// application and host, counted in shared memory without a lock. A session that by itself runs the statement too often
// takes back what it has added, and adds no more until it is done (see bursts).
#pragma once

#include "observe/findings.hpp"

namespace wc::observe::crowd {

// Subscribes to the server's start. Called once, by bursts::init().
void init();

// Both: plain server code that neither allocates nor raises. who: a number for the role and the application of this
// session; limit: executions that are allowed in a window of `width` microseconds.

// An execution of this session.
void add(uint64 who, const Statement &statement, uint32 limit, int64 width) noexcept;

// Takes back executions that ended at these times. A burst of which no more than `limit` executions are left was none.
void take_back(uint64 who, const Statement &statement, const int64 *times, uint32 count, uint32 limit,
               int64 width) noexcept;

// The bursts that have not ended, or of which nobody has seen the end.
void collect(std::vector<findings::UnderWay> &under_way);

} // namespace wc::observe::crowd

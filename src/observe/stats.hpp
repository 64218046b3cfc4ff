// Statistics of statement patterns: what each session counts, and what all sessions have counted, in shared memory.
#pragma once

#include "observe/hours.hpp"
#include "observe/statement.hpp"
#include "pg/hooks.hpp"

namespace wc::observe::stats {

// One statement pattern of a role in a database. Text comes right behind it.
struct Pattern {
    Oid database;
    Oid role;
    uint64 query_id; // 0: statements that the server gives no query id (compute_query_id is off)
    CommandTag tag;
    bool utility;              // it has no text: the command tag stands for it
    uint64 calls;              // executions that ended well; the next five are of these alone
    int64 total_ns;            //
    int64 min_ns;              //
    int64 max_ns;              //
    uint64 rows;               //
    Hours hours;               //
    uint64 failures;           // executions that ended with an error, cancelled ones too
    TimestampTz since;         // first execution that is counted here
    TimestampTz last_executed; // end of the last one, whether or not it failed
    uint64 plan_hash;          // of the last one; 0: none yet
    uint64 plan_changes;       // how often that was another than the one before
    TimestampTz last_plan_change;
    int encoding;  // of the text
    int text_size; // in bytes; 0: not known, or not of this kind
    int next;      // the next of its bucket, or of those that are free; -1: none
};

inline std::string_view text_of(const Pattern &pattern) noexcept {
    return {reinterpret_cast<const char *>(&pattern + 1), static_cast<size_t>(pattern.text_size)};
}

// What is known of all patterns together.
struct Info {
    int patterns;
    int max;
    uint64 evicted;    // patterns that were given up for others
    uint64 resets;     //
    TimestampTz since; // server start, or the last reset
    Hours others;      // what patterns had counted that have been evicted or reset
};

// The block of shared memory.
extern const pg::hooks::SharedMemory block;

// Counts an execution: in this session, which adds it up in shared memory about once a second.
void count(const Statement &statement) noexcept;

// Adds up what is due, when a transaction ends.
void transaction_ended() noexcept;

// Adds up what this session has counted, due or not.
void flush() noexcept;

Info info() noexcept;

// Forgets all patterns. Returns how many there were.
int reset() noexcept;

// Calls visit(pattern, context) for each pattern, under the shared lock (in the postmaster, which has no locks, without
// it: only while no other process runs). Visit must be quick, and neither allocate nor raise. Returns the total of
// those that are gone, as of the same moment.
using Visit = void (*)(const Pattern &pattern, void *context) noexcept;
Info visit_all(Visit visit, void *context) noexcept;

} // namespace wc::observe::stats

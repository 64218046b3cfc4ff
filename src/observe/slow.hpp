// The last statements that took long: a ring in shared memory, touched by slow statements and by nobody else.
#pragma once

#include "observe/client.hpp"
#include "observe/statement.hpp"
#include "pg/guard.hpp"

namespace wc::observe::slow {

// Subscribes to the server's start. Called once, by observe::init().
void init();

// An execution that has ended, or failed. Remembers it where it took at least whitecross.slow_query_threshold, and
// writes a line to the server's log where whitecross.log_slow_queries is on. For any state that the end of a statement
// can be in, PG_CATCH too: it neither raises nor lets a cancel through.
void note(const Statement &statement) noexcept;

// What stands in the ring of each statement, besides its text.
struct Facts {
    static constexpr int most = 32; // relations, and types of parameters, that are kept of one statement
    TimestampTz started_at;
    int64 duration_ns;
    uint64 query_id; // 0: not identified
    uint64 plan_hash;
    uint64 rows;
    int64 blocks_hit;
    int64 blocks_read;
    int64 temp_blocks;
    Oid database;
    Oid role;
    CommandTag tag;
    int sqlstate;
    int encoding;       // of the text
    int parameters;     // -1: not known
    int type_count;     // of parameter_types
    int relation_count; // of relations; -1: not known
    client::Place place;
    Oid parameter_types[most];
    Oid relations[most];
    char application_name[NAMEDATALEN];
};

struct Entry {
    Facts facts;
    std::string text; // normalised; empty: not known
};

// Those that the caller may see, newest first. Throws 55000 where the library is not preloaded.
std::vector<Entry> list();

// Forgets them all, of every database; returns how many there were. Throws 55000.
int reset();

} // namespace wc::observe::slow

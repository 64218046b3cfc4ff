// What is known of PgBouncer's pools: how each was in the last answer, and what has come together over all answers,
// which PgBouncer itself does not count, or begins anew when it is started. Bounded: where there is no room for a pool,
// one that nobody uses gives its place up.
//
// Plain data, to be kept in shared memory as it is.
#pragma once

#include "core/pooler_answer.hpp"

namespace wc::core::pooler {

constexpr std::size_t most_pools = 500;
constexpr std::size_t most_databases = 500;
constexpr std::size_t database_size = 64; // bytes of a name with its end; what is longer is cut
constexpr std::size_t user_size = 128;

struct Pool {
    char database[database_size]; // empty: the place is free
    char user[user_size];
    bool listed; // it is in the last answer, which the next seven are of
    std::int64_t clients_active;
    std::int64_t clients_waiting;
    std::int64_t servers_active;
    std::int64_t servers_idle;
    std::int64_t servers_used;
    std::int64_t maxwait_us;
    std::int64_t pool_size;       // that a pool can have; 0: not known
    std::uint64_t waits;          // answers in which clients were waiting
    std::int64_t longest_wait_us; // of all answers
    std::uint64_t last_listed;    // the number of the answer
};

// Servers that work, of those that the pool can have, in percent: above 100 where a reserve is used. Nothing where the
// size is not known.
std::optional<double> utilisation_percent(const Pool &pool);

struct Totals {
    std::uint64_t transactions;
    std::uint64_t queries;
    std::uint64_t wait_us;
};

struct Database {
    char name[database_size]; // empty: the place is free
    bool listed;
    Totals last;  // as PgBouncer told them
    Totals total; // since the first answer
    std::uint64_t last_listed;
};

struct Ledger {
    std::uint64_t answers;       // how many there were
    std::int64_t pools;          // in the last answer, those that there was no room for included
    std::int64_t pools_left_out; // of them, those that there was no room for
    std::int64_t databases_left_out;
    std::int64_t clients_active; // of all pools of the last answer, those left out included
    std::int64_t clients_waiting;
    std::int64_t servers_active;
    Pool pool[most_pools];
    Database database[most_databases];
};

// Takes an answer in.
void take(Ledger &ledger, const Answer &answer);

} // namespace wc::core::pooler

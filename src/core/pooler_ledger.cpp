// PgBouncer's pools over many answers.
#include "core/pooler_ledger.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

namespace wc::core::pooler {

namespace {

// A name as it is kept: cut to its room, at the beginning of a character of UTF-8.
std::string kept(const std::string &name, std::size_t room) {
    std::string out = name.substr(0, name.find('\0'));
    if (out.size() < room)
        return out;
    std::size_t end = room - 1;
    while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xC0) == 0x80)
        --end;
    return out.substr(0, end);
}

template <std::size_t room> void put(char (&to)[room], const std::string &name) {
    std::memset(to, 0, room);
    std::memcpy(to, name.data(), std::min(name.size(), room - 1));
}

std::int64_t size_of(const DatabaseRow &row) {
    if (row.max_connections > 0 && (row.pool_size == 0 || row.max_connections < row.pool_size))
        return row.max_connections;
    return row.pool_size;
}

bool in_use(const PoolRow &row) {
    return row.clients_active > 0 || row.clients_waiting > 0 || row.servers_active > 0;
}

// The place for a pool that has none, when all that have one are told: a free one, that of the pool that was longest
// not listed, or that of one which is neither used nor ever was waited for, where this one is used. Null: there is
// none.
Pool *place(Ledger &ledger, const PoolRow &row) {
    const auto idle = [](const Pool &pool) {
        return pool.clients_active == 0 && pool.clients_waiting == 0 && pool.servers_active == 0 && pool.waits == 0;
    };
    Pool *best = std::min_element(std::begin(ledger.pool), std::end(ledger.pool), [&](const Pool &a, const Pool &b) {
        return std::pair(a.last_listed, !idle(a)) < std::pair(b.last_listed, !idle(b));
    });
    const bool to_be_had = best->last_listed < ledger.answers || (idle(*best) && in_use(row));
    return to_be_had ? best : nullptr;
}

Database *place(Ledger &ledger) {
    Database *best = std::min_element(std::begin(ledger.database), std::end(ledger.database),
                                      [](const auto &a, const auto &b) { return a.last_listed < b.last_listed; });
    return best->last_listed < ledger.answers ? best : nullptr;
}

void take_pools(Ledger &ledger, const Answer &answer) {
    std::map<std::string, std::int64_t> sizes;
    for (const DatabaseRow &row : answer.databases)
        sizes[row.database] = size_of(row);
    std::map<std::pair<std::string, std::string>, Pool *> known;
    const auto name = [](const PoolRow &row) {
        return std::pair(kept(row.database, database_size), kept(row.user, user_size));
    };
    for (Pool &pool : ledger.pool) {
        pool.listed = false;
        if (pool.database[0] != '\0')
            known[{pool.database, pool.user}] = &pool;
    }
    ledger.pools = static_cast<std::int64_t>(answer.pools.size());
    ledger.clients_active = ledger.clients_waiting = ledger.servers_active = 0;
    std::vector<const PoolRow *> others;
    const auto fill = [&](const PoolRow &row, Pool &pool) {
        const auto size = sizes.find(row.database);
        pool.listed = true;
        pool.last_listed = ledger.answers;
        pool.clients_active = row.clients_active;
        pool.clients_waiting = row.clients_waiting;
        pool.servers_active = row.servers_active;
        pool.servers_idle = row.servers_idle;
        pool.servers_used = row.servers_used;
        pool.maxwait_us = row.maxwait_us;
        pool.pool_size = size != sizes.end() ? size->second : 0;
        pool.waits += row.clients_waiting > 0 ? 1 : 0;
        pool.longest_wait_us = std::max(pool.longest_wait_us, row.maxwait_us);
    };
    for (const PoolRow &row : answer.pools) {
        ledger.clients_active += row.clients_active;
        ledger.clients_waiting += row.clients_waiting;
        ledger.servers_active += row.servers_active;
        const auto found = known.find(name(row));
        if (found == known.end())
            others.push_back(&row);
        else if (!found->second->listed)
            fill(row, *found->second);
    }
    for (const PoolRow *row : others) {
        const auto [database, user] = name(*row);
        Pool *const pool = known.contains({database, user}) ? nullptr : place(ledger, *row);
        if (pool == nullptr)
            continue;
        known[{database, user}] = pool;
        *pool = {};
        put(pool->database, database);
        put(pool->user, user);
        fill(*row, *pool);
    }
    ledger.pools_left_out = ledger.pools - std::count_if(std::begin(ledger.pool), std::end(ledger.pool),
                                                         [](const Pool &pool) { return pool.listed; });
}

void take_stats(Ledger &ledger, const Answer &answer) {
    // What a database brings that was not there in the answer before is new, too; but of the first answer, and of one
    // that there was no room for, nobody knows when it came together.
    const bool all_were_known = ledger.answers > 1 && ledger.databases_left_out == 0;
    std::map<std::string, Database *> known;
    for (Database &database : ledger.database) {
        database.listed = false;
        if (database.name[0] != '\0')
            known[database.name] = &database;
    }
    ledger.databases_left_out = 0;
    std::vector<const StatRow *> others;
    const auto add = [&](const StatRow &row, Database &database) {
        // The totals of a pooler that was started again begin at zero.
        const Totals now = {row.transactions, row.queries, row.wait_us};
        const Totals &before = database.last;
        if (now.transactions < before.transactions || now.queries < before.queries || now.wait_us < before.wait_us)
            database.last = {};
        database.total.transactions += now.transactions - database.last.transactions;
        database.total.queries += now.queries - database.last.queries;
        database.total.wait_us += now.wait_us - database.last.wait_us;
        database.last = now;
        database.listed = true;
        database.last_listed = ledger.answers;
    };
    for (const StatRow &row : answer.stats) {
        const auto found = known.find(kept(row.database, database_size));
        if (found == known.end())
            others.push_back(&row);
        else if (!found->second->listed)
            add(row, *found->second);
    }
    for (const StatRow *row : others) {
        const std::string name = kept(row->database, database_size);
        if (known.contains(name))
            continue;
        Database *const database = place(ledger);
        if (database == nullptr) {
            ledger.databases_left_out++;
            continue;
        }
        *database = {};
        put(database->name, name);
        known[name] = database;
        if (!all_were_known)
            database->last = {row->transactions, row->queries, row->wait_us};
        add(*row, *database);
    }
}

} // namespace

std::optional<double> utilisation_percent(const Pool &pool) {
    if (pool.pool_size <= 0)
        return {};
    return 100.0 * static_cast<double>(pool.servers_active) / static_cast<double>(pool.pool_size);
}

void take(Ledger &ledger, const Answer &answer) {
    ledger.answers++;
    take_pools(ledger, answer);
    take_stats(ledger, answer);
}

} // namespace wc::core::pooler

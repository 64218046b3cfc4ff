// What the monitor reads for alerts without a connection to any database.
#include "monitor/server_readings.hpp"

#include "monitor/connections.hpp"
#include "monitor/pooler.hpp"
#include "observe/totals.hpp"
#include "observe/violations.hpp"
#include "pg/worker.hpp"

extern "C" {
#include "access/heapam.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "catalog/pg_database.h"
}

namespace wc::monitor::alerts {

namespace {

constexpr int64 minute = 60000;

// As age() has it.
int64 age_of(TransactionId oldest, TransactionId next) {
    return TransactionIdIsNormal(oldest) ? static_cast<int32>(next - oldest) : INT_MAX;
}

} // namespace

std::map<Oid, ServerReadings::Database> ServerReadings::scan() {
    struct Found {
        Oid oid;
        NameData name;
        TransactionId oldest;
    };
    struct Open {
        ::Relation table;
        TableScanDesc scan;
    };
    std::map<Oid, Database> found;
    const TransactionId next = XidFromFullTransactionId(ReadNextFullTransactionId());
    const Open open = pg::call([] {
        (void)GetTransactionSnapshot();
        ::Relation table = table_open(DatabaseRelationId, AccessShareLock);
        return Open{table, table_beginscan_catalog(table, 0, nullptr)};
    });
    for (;;) {
        const Found row = pg::call([=] {
            HeapTuple tuple = heap_getnext(open.scan, ForwardScanDirection);
            if (!HeapTupleIsValid(tuple))
                return Found{};
            const auto *form = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
            return Found{form->oid, form->datname, form->datfrozenxid};
        });
        if (!OidIsValid(row.oid))
            break;
        found[row.oid] = {NameStr(row.name), age_of(row.oldest, next)};
    }
    pg::call([=] {
        table_endscan(open.scan);
        table_close(open.table, AccessShareLock);
    });
    return found;
}

void ServerReadings::add(Watched watched, const std::string &subject, double value) {
    of_server_.push_back(reading(watched, InvalidOid, subject, value));
}

void ServerReadings::add(Watched watched, Oid database, double value) {
    if (const auto found = databases_.find(database); found != databases_.end())
        of_database_[database].push_back(reading(watched, database, found->second.name, value));
}

void ServerReadings::read(int64 now) {
    const auto failure = pg::transaction([&] {
        databases_ = scan();
        lags_ = replication_.look(now);
    });
    if (failure)
        throw *failure;
    of_server_.clear();
    of_database_.clear();
    read_connections();
    read_pooler();
    for (const auto &[oid, database] : databases_)
        add(Watched::TransactionIdAge, database.name, static_cast<double>(database.age));
    for (const Lag &lag : lags_)
        add(Watched::ReplicationLag, lag.subject, lag.seconds);
    read_violations();
    read_totals(now);
}

bool ServerReadings::is_old() const {
    const auto sample = connections::latest();
    return sample && sample->at != sampled_at_;
}

void ServerReadings::read_connections() {
    const auto sample = connections::latest();
    if (!sample)
        return;
    sampled_at_ = sample->at;
    const auto rows = core::connections::rows(*sample);
    if (rows.empty())
        return;
    const auto &server = rows.front();
    if (server.utilisation_percent)
        add(Watched::Connections, "server", *server.utilisation_percent);
    add(Watched::ConnectionsWaiting, "server", server.counts.waiting);
}

void ServerReadings::read_pooler() {
    const auto sample = pooler::sample();
    if (!sample.status.configured)
        return;
    // One that was not looked for yet isn't down.
    add(Watched::PoolerDown, "pooler", sample.status.since != 0 && !sample.status.connected ? 1 : 0);
    for (const auto &pool : sample.pools) {
        if (!pool.present)
            continue;
        const std::string subject = pool.database + "/" + pool.user;
        if (pool.present->utilisation_percent)
            add(Watched::PoolerConnections, subject, *pool.present->utilisation_percent);
        add(Watched::PoolerWaiting, subject, static_cast<double>(pool.present->clients_waiting));
    }
}

void ServerReadings::read_violations() {
    for (const auto &sum : observe::violations::sums())
        add(Watched::Violations, sum.database, static_cast<double>(sum.last_hour));
}

void ServerReadings::read_totals(int64 now) {
    std::erase_if(counters_, [this](const auto &each) { return !databases_.contains(each.first); });
    for (const auto &total : observe::totals::list()) {
        if (!databases_.contains(total.database)) // one that was dropped, or the sum of those without a place
            continue;
        const auto [place, is_new] = counters_.try_emplace(total.database);
        Counters &counters = place->second;
        if (is_new && read_at_ != 0) { // at the last look it had no place yet: nothing had happened there
            counters.slow.add(read_at_, 0);
            counters.bursts.add(read_at_, 0);
        }
        counters.slow.add(now, total.slow);
        counters.bursts.add(now, total.bursts);
        add(Watched::SlowQueries, total.database, counters.slow.growth(now, minute));
        add(Watched::NPlusOne, total.database, counters.bursts.growth(now, minute));
    }
    read_at_ = now;
}

std::vector<Reading> ServerReadings::of_database(Oid database) const {
    const auto found = of_database_.find(database);
    return found != of_database_.end() ? found->second : std::vector<Reading>();
}

std::vector<Oid> ServerReadings::databases() const {
    std::vector<Oid> out;
    for (const auto &each : databases_)
        out.push_back(each.first);
    return out;
}

std::string ServerReadings::name(Oid database) const {
    const auto found = databases_.find(database);
    return found != databases_.end() ? found->second.name : "";
}

} // namespace wc::monitor::alerts

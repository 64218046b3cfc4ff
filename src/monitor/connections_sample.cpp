// Taking a sample of connections.
#include "monitor/connections_sample.hpp"

#include "pg/compat.hpp"

extern "C" {
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "storage/proc.h"
#include "utils/wait_event.h"
}

namespace wc::monitor::connections {

namespace {

using core::connections::Counts;
using core::connections::Database;
using core::connections::Role;

// What one process shows of itself.
struct Seen {
    Oid database;
    Oid role;
    BackendState state;
    TimestampTz transaction; // when it began; 0: none is open
    bool waiting;
};

constexpr uint32 class_of_wait = 0xFF000000U;

// Plain server code, inside a guard: the state of a process, which it writes while we read. Undefined where it is
// being started.
void read_state(const PGPROC *process, int pid, Seen &seen) {
    const volatile PgBackendStatus *const status = pg::compat::backend_status(process);
    if (status == nullptr)
        return;
    for (;;) {
        int before = 0;
        int after = 0;
        pgstat_begin_read_activity(status, before);
        const bool is_its = status->st_procpid == pid;
        seen.state = is_its ? status->st_state : STATE_UNDEFINED;
        seen.transaction = is_its ? status->st_xact_start_timestamp : 0;
        pgstat_end_read_activity(status, after);
        if (pgstat_read_activity_complete(before, after))
            return;
        CHECK_FOR_INTERRUPTS();
    }
}

// Plain server code, inside a guard: every client's process. The server keeps the places of those apart from all
// others, as many as max_connections, before them. Who has one owns its latch, from the first moment to the last;
// the rest of it keeps what the process before has left.
int read_processes(Seen *all) {
    int count = 0;
    for (int i = 0; i < MaxConnections; ++i) {
        const volatile PGPROC *const process = &ProcGlobal->allProcs[i];
        const int pid = process->procLatch.owner_pid;
        if (pid == 0)
            continue;
        Seen &seen = all[count++];
        seen = {process->databaseId, process->roleId, STATE_UNDEFINED, 0,
                (process->wait_event_info & class_of_wait) == PG_WAIT_LOCK};
        read_state(&ProcGlobal->allProcs[i], pid, seen);
    }
    return count;
}

Counts counts_of(const Seen &seen) {
    Counts one;
    one.total = 1;
    one.waiting = seen.waiting ? 1 : 0;
    one.oldest = seen.transaction;
    switch (seen.state) {
    case STATE_RUNNING:
    case STATE_FASTPATH:
        one.active = 1;
        break;
    case STATE_IDLE:
        one.idle = 1;
        break;
    case STATE_IDLEINTRANSACTION:
    case STATE_IDLEINTRANSACTION_ABORTED:
        one.idle_in_transaction = 1;
        break;
    default: // being started, or track_activities is off
        break;
    }
    return one;
}

Database database_of(Oid oid) {
    struct Facts {
        int limit;
        NameData name;
    };
    const Facts facts = pg::call([=] {
        Facts found = {-1, {}};
        HeapTuple tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(oid));
        if (HeapTupleIsValid(tuple)) {
            const auto *row = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
            found = {row->datconnlimit, row->datname};
            ReleaseSysCache(tuple);
        }
        return found;
    });
    return {facts.limit, NameStr(facts.name)};
}

Role role_of(Oid oid) {
    struct Facts {
        int limit;
        bool superuser;
        NameData name;
    };
    const Facts facts = pg::call([=] {
        Facts found = {-1, false, {}};
        HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(oid));
        if (HeapTupleIsValid(tuple)) {
            const auto *row = reinterpret_cast<Form_pg_authid>(GETSTRUCT(tuple));
            found = {row->rolconnlimit, row->rolsuper, row->rolname};
            ReleaseSysCache(tuple);
        }
        return found;
    });
    return {facts.limit, facts.superuser, NameStr(facts.name)};
}

} // namespace

Sample count() {
    std::vector<Seen> all(static_cast<size_t>(MaxConnections));
    Seen *const array = all.data();
    const int found = pg::call([=] { return read_processes(array); });
    Sample sample;
    sample.at = GetCurrentTimestamp();
    sample.limits = {MaxConnections - pg::compat::reserved_connections(), MaxConnections};
    for (int i = 0; i < found; ++i)
        sample.groups[{all[i].database, all[i].role}].add(counts_of(all[i]));
    return sample;
}

void name_groups(Sample &sample) {
    for (const auto &each : sample.groups) {
        const auto &[database, role] = each.first;
        if (OidIsValid(database) && !sample.databases.contains(database))
            sample.databases.emplace(database, database_of(database));
        if (OidIsValid(role) && !sample.roles.contains(role))
            sample.roles.emplace(role, role_of(role));
    }
}

Sample take() {
    Sample sample = count();
    name_groups(sample);
    return sample;
}

} // namespace wc::monitor::connections

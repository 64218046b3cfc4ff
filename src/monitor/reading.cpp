// The names of what is watched, and the limits that the settings give it.
#include "monitor/reading.hpp"

#include "monitor/alerts.hpp"
#include "pg/guc.hpp"
#include "pg/guc_alerts.hpp"

extern "C" {
#include "mb/pg_wchar.h"
}

namespace wc::monitor::alerts {

namespace {

using core::alert::Limits;
namespace limits = pg::settings::alert;

Limits of(const limits::Limits &setting) {
    return {static_cast<double>(setting.warning), static_cast<double>(setting.critical)};
}

// Of what there must be none at all.
Limits none_of(bool watched) {
    return {-1, watched ? 0.0 : -1.0};
}

Limits limits_of(Watched name) {
    switch (name) {
    case Watched::Connections:
        return of(limits::connections);
    case Watched::ConnectionsWaiting:
        return of(limits::connections_waiting);
    case Watched::PoolerConnections:
        return of(limits::pooler_connections);
    case Watched::PoolerWaiting:
        return of(limits::pooler_waiting);
    case Watched::PoolerDown:
        return none_of(limits::pooler_down);
    case Watched::Unhealthy:
        return none_of(limits::unhealthy);
    case Watched::Violations:
        return limits::constraint_violations ? of({pg::settings::violations_warning, pg::settings::violations_critical})
                                             : of({-1, -1});
    case Watched::SlowQueries:
        return of(limits::slow_queries);
    case Watched::NPlusOne:
        return of(limits::n_plus_one);
    case Watched::ViewAge:
        return of(limits::view_age);
    case Watched::RefreshFailed:
        return of(limits::refresh_failed);
    case Watched::ChangeLog:
        return of(limits::change_log);
    case Watched::TransactionIdAge:
        return of(limits::transaction_id_age);
    case Watched::ReplicationLag:
        return of(limits::replication_lag);
    }
    return {-1, -1};
}

} // namespace

const char *name(Watched watched) {
    switch (watched) {
    case Watched::Connections:
        return "connections";
    case Watched::ConnectionsWaiting:
        return "connections_waiting";
    case Watched::PoolerConnections:
        return "pooler_connections";
    case Watched::PoolerWaiting:
        return "pooler_waiting";
    case Watched::PoolerDown:
        return "pooler_down";
    case Watched::Unhealthy:
        return "unhealthy";
    case Watched::Violations:
        return "constraint_violations";
    case Watched::SlowQueries:
        return "slow_queries";
    case Watched::NPlusOne:
        return "n_plus_one";
    case Watched::ViewAge:
        return "view_age";
    case Watched::RefreshFailed:
        return "refresh_failed";
    case Watched::ChangeLog:
        return "change_log";
    case Watched::TransactionIdAge:
        return "transaction_id_age";
    case Watched::ReplicationLag:
        return "replication_lag";
    }
    return "";
}

Reading reading(Watched name, Oid database, const std::string &subject, double value) {
    Reading out;
    memset(&out, 0, sizeof out); // what lies between its members goes to shared memory too
    out.name = name;
    out.encoding = GetDatabaseEncoding();
    const int length = pg_mbcliplen(subject.data(), static_cast<int>(subject.size()), sizeof out.subject - 1);
    memcpy(out.subject, subject.data(), length);
    out.database = database;
    out.value = value;
    const Limits held_against = limits_of(name);
    out.warning = held_against.warning;
    out.critical = held_against.critical;
    return out;
}

} // namespace wc::monitor::alerts

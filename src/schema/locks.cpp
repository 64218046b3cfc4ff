// Locks on several relations at once.
//
// An application that holds a lock which we wait for may at any moment wait for one that we hold. The server breaks
// that deadlock by failing whichever session looks first, and that must not be the application's. So we never wait long
// with a lock in hand: after a tenth of a second at most we let go of everything and queue for the contended relation
// alone, and take the others after it. And our own look for deadlocks comes at once, the application's after
// deadlock_timeout.
#include "schema/locks.hpp"

#include "pg/guc.hpp"
#include "pg/membership.hpp"
#include "pg/relation.hpp"
#include "pg/transaction.hpp"
#include "schema/operations.hpp"

#include <algorithm>
#include <chrono>

extern "C" {
#include "storage/proc.h"
}

namespace wc::schema {

namespace {

// How long we wait with a lock in hand: less than what the application waits before it looks for a deadlock.
int patience_with_locks_ms() {
    return std::clamp(DeadlockTimeout / 2, 1, 100);
}

constexpr int least_wait_ms = 10; // what a failed try counts for: the tries come to an end

const char *mode_name(LOCKMODE mode) {
    switch (mode) {
    case AccessShareLock:
        return "ACCESS SHARE";
    case ShareUpdateExclusiveLock:
        return "SHARE UPDATE EXCLUSIVE";
    case ShareLock:
        return "SHARE";
    case ShareRowExclusiveLock:
        return "SHARE ROW EXCLUSIVE";
    default:
        return "ACCESS EXCLUSIVE";
    }
}

// SHARE lets in what SHARE UPDATE EXCLUSIVE doesn't: neither replaces the other.
bool covers(LOCKMODE held, LOCKMODE needed) {
    return held >= needed && !(held == ShareLock && needed == ShareUpdateExclusiveLock);
}

} // namespace

void one_at_a_time(pg::Spi &spi, const char *function) {
    const auto failure = pg::attempt([&] {
        spi.query("LOCK TABLE " + pg::quote_name(pg::extension_schema()) + ".wc_registry IN SHARE ROW EXCLUSIVE MODE");
    });
    if (failure)
        throw pg::Error(failure->sqlstate(), std::string("cannot start ") + function + ": " + failure_reason(*failure),
                        "Another session is installing or retiring managed objects.",
                        "Wait for it to commit, and try again.");
}

void Locks::want(const std::string &relation, LOCKMODE mode) {
    if (mode == NoLock)
        return;
    Wanted &wanted = wanted_[relation];
    wanted.modes.insert(mode);
    if (wanted.modes.count(ShareLock) > 0 && wanted.modes.count(ShareUpdateExclusiveLock) > 0)
        wanted.modes.insert(AccessExclusiveLock);
}

std::optional<std::string> Locks::missing(const std::string &relation, LOCKMODE mode) const {
    if (mode == NoLock)
        return {};
    const auto found = wanted_.find(relation);
    if (found == wanted_.end())
        return "no lock on " + relation + " was asked for";
    if (covers(found->second.held, mode))
        return {};
    return found->second.reason;
}

void Locks::lock(const std::string &name, Wanted &wanted, LOCKMODE mode, int patience_ms) {
    pg::SettingScope settings;
    settings.set("lock_timeout", std::to_string(patience_ms).c_str());
    if (pg::call([] { return superuser(); }))
        settings.set("deadlock_timeout", "1");
    if (site_.table(name) != nullptr) // with its partitions and children
        spi_.query("LOCK TABLE " + site_.qualified(name) + " IN " + mode_name(mode) + " MODE");
    else
        pg::call([=, relid = wanted.relid] { LockRelationOid(relid, mode); });
    wanted.held = mode;
}

bool Locks::caller_holds_locks() {
    // On what an application works with: neither catalogues nor what is ours.
    return spi_
        .value(
            "SELECT true FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_class AS c ON c.oid = l.relation"
            " WHERE l.locktype = 'relation' AND l.pid = pg_catalog.pg_backend_pid()"
            "   AND c.oid >= 16384 AND c.relkind IN ('r', 'p', 'm', 'v', 'f')"
            "   AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())"
            "   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = 'pg_catalog.pg_class'::regclass"
            "                      AND d.objid = c.oid AND d.deptype = 'e')"
            " LIMIT 1")
        .has_value();
}

// One try for everything. False: it was in vain, and nothing is held.
bool Locks::take_all() {
    const int limit = pg::settings::lock_timeout;
    std::string contended;
    bool empty_handed = true;
    auto started = std::chrono::steady_clock::now();
    const auto failure = pg::attempt([&] {
        for (const auto &name : order_) {
            Wanted &wanted = wanted_.at(name);
            if (wanted.given_up)
                continue;
            contended = name;
            started = std::chrono::steady_clock::now();
            const int rest = limit == 0 ? 0 : std::max(limit - wanted.waited_ms, 1);
            const bool brief = !empty_handed || sliced_;
            const int patience = !brief       ? rest
                                 : limit == 0 ? patience_with_locks_ms()
                                              : std::min(rest, patience_with_locks_ms());
            lock(name, wanted, *wanted.modes.rbegin(), patience);
            empty_handed = false;
        }
    });
    if (!failure)
        return true;
    for (auto &[name, wanted] : wanted_)
        wanted.held = NoLock;
    Wanted &wanted = wanted_.at(contended);
    // A deadlock over the caller's own locks is there until the transaction ends.
    const bool contention = failure->sqlstate() == ERRCODE_LOCK_NOT_AVAILABLE ||
                            (failure->sqlstate() == ERRCODE_T_R_DEADLOCK_DETECTED && !empty_handed);
    const auto waited =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - started).count();
    wanted.waited_ms += std::max(static_cast<int>(waited), least_wait_ms);
    if (contention && (limit == 0 || wanted.waited_ms < limit)) {
        order_.erase(std::find(order_.begin(), order_.end(), contended));
        order_.insert(order_.begin(), contended);
        return false;
    }
    wanted.given_up = true;
    wanted.reason = failure->sqlstate() == ERRCODE_LOCK_NOT_AVAILABLE
                        ? "no lock on " + contended + " within whitecross.lock_timeout"
                        : failure_reason(*failure);
    return false;
}

void Locks::take_weaker(const std::string &name, Wanted &wanted) {
    for (auto mode = std::next(wanted.modes.rbegin()); mode != wanted.modes.rend(); ++mode)
        if (!pg::attempt([&] { lock(name, wanted, *mode, patience_with_locks_ms()); }))
            return;
}

void Locks::take() {
    for (auto wanted = wanted_.begin(); wanted != wanted_.end();) {
        const SiteTable *table = site_.table(wanted->first);
        wanted->second.relid =
            table != nullptr ? table->relid : pg::find_relation(site_.setting("base_schema"), wanted->first);
        wanted = OidIsValid(wanted->second.relid) ? std::next(wanted) : wanted_.erase(wanted);
    }
    for (const auto &[name, wanted] : wanted_)
        order_.push_back(name);
    sliced_ = caller_holds_locks();
    while (!take_all())
        pg::check_for_interrupts();
    for (auto &[name, wanted] : wanted_)
        if (wanted.given_up)
            take_weaker(name, wanted);
}

} // namespace wc::schema

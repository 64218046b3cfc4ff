// What a visitor finds out about a database. It must harm nobody: it writes nothing, keeps no lock and no snapshot
// beyond its time, and never waits for a lock so long that somebody else's transaction could become the victim of a
// deadlock.
#include "monitor/health_look.hpp"

#include "monitor/visit.hpp"
#include "monitor/visit_board.hpp"
#include "pg/clock.hpp"
#include "pg/spi.hpp"
#include "pg/transaction.hpp"
#include "pg/worker.hpp"

#include <algorithm>

extern "C" {
#include "storage/proc.h"
}

namespace wc::monitor::health {

namespace {

// Cuts what is too long.
template <size_t n> void put(char (&place)[n], const std::string &text) {
    strlcpy(place, text.c_str(), n);
}

struct Extension {
    std::string row; // the version of its row in the catalogue: another one now means that it was changed
    std::string version;
    std::string schema; // as SQL writes it
    Oid owner = InvalidOid;
    bool in_one_hand = false; // nobody but a superuser or its owner can change what it runs
};

// The extension as it is; nothing where there is none.
std::optional<Extension> extension() {
    const pg::ActiveSnapshot snapshot;
    pg::Spi spi;
    const auto rows =
        spi.query(
               "SELECT e.xmin || '/' || e.ctid, e.extversion, pg_catalog.quote_ident(n.nspname), e.extowner, "
               "NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d "
               "LEFT JOIN pg_catalog.pg_proc AS p ON d.classid = 'pg_catalog.pg_proc'::regclass AND p.oid = d.objid "
               "LEFT JOIN pg_catalog.pg_class AS c ON d.classid = 'pg_catalog.pg_class'::regclass AND c.oid = d.objid "
               "JOIN pg_catalog.pg_roles AS r ON r.oid = coalesce(p.proowner, c.relowner) "
               "WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e' "
               "AND r.oid <> e.extowner AND NOT r.rolsuper) "
               "FROM pg_catalog.pg_extension AS e JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace "
               "WHERE e.extname = 'whitecross'")
            .rows;
    if (rows.empty())
        return {};
    const pg::Row &row = rows.front();
    return Extension{*row[0], *row[1], *row[2], pg::oid_of(row[3]), *row[4] == "t"};
}

// What is to spare for saying how it went.
constexpr int64 breath_us = 100'000;

// A session that waits for a lock looks for a deadlock after deadlock_timeout, and is its victim if it finds one. Who
// waits for a lock of ours has not waited so long when we give up waiting for one of his; a check may wait for a few of
// them in turn, because one that wc_objects() can't have is no error.
void wait_for_locks(int64 left_us) {
    const auto most = std::min<int64>(DeadlockTimeout / 5, (left_us - breath_us) / 1000);
    const std::string timeout = std::to_string(std::max<int64>(1, most));
    const char *const value = timeout.c_str();
    pg::call([=] {
        SetConfigOption("lock_timeout", value, PGC_SUSET, PGC_S_SESSION);
        SetConfigOption("whitecross.lock_timeout", value, PGC_SUSET, PGC_S_SESSION); // which our own functions go by
    });
}

// The whole look, with what it knows of the time.
class Look {
  public:
    explicit Look(const Question &question)
        : question_(question), began_(pg::clock::microseconds()), until_(began_ + 1000LL * question.timeout_ms) {}

    // Tells the monitor what it has found as soon as it has found it.
    Findings run() {
        wait_for_locks(until_ - began_);
        for (;;) {
            if (!find())
                return findings_;
            if (!question_.check)
                return findings_;
            const int64 tried_at = pg::clock::microseconds();
            const int sqlstate = check();
            const int64 now = pg::clock::microseconds();
            if (sqlstate == 0 || !may_pass(sqlstate) || now + (now - tried_at) >= until_) { // no time for another one
                judge(sqlstate);
                break;
            }
        }
        visit::reply_so_far(bytes(findings_));
        read();
        return findings_;
    }

    static std::string bytes(const Findings &findings) {
        const size_t used = offsetof(Findings, reading) + sizeof(Reading) * static_cast<size_t>(findings.readings);
        return {reinterpret_cast<const char *>(&findings), used};
    }

  private:
    bool find() {
        std::optional<Extension> found;
        if (const auto failure = pg::transaction([&found] { found = extension(); }))
            throw *failure;
        findings_.present = found.has_value();
        if (found) {
            put(findings_.version, found->version);
            extension_ = *found;
        }
        return found.has_value();
    }

    // In a transaction, as the extension's owner. Returns the error that f failed with; 0: none.
    template <typename F> int as_owner(F &&f) {
        const auto failure = pg::transaction([&] {
            const pg::UserScope owner(extension_.owner, SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
            const pg::ActiveSnapshot snapshot;
            f();
        });
        if (!failure)
            return 0;
        if (pg::WorkerProcess::stop_requested() || failure->ends_statement())
            throw *failure;
        return failure->sqlstate();
    }

    int check() {
        if (!extension_.in_one_hand)
            return ERRCODE_INSUFFICIENT_PRIVILEGE;
        critical_.clear();
        return as_owner([this] {
            pg::Spi spi;
            for (const auto &row :
                 spi.query("SELECT h.check_name FROM " + extension_.schema +
                           ".wc_health_check() AS h WHERE h.status = 'critical' GROUP BY 1 ORDER BY 1")
                     .rows)
                critical_.push_back(row[0].value_or(""));
        });
    }

    // Whether what it failed with may be over when it is tried again: somebody's lock, a conflict with the primary on a
    // standby, or the extension was changed under its hands.
    bool may_pass(int sqlstate) {
        if (sqlstate == ERRCODE_LOCK_NOT_AVAILABLE || sqlstate == ERRCODE_T_R_SERIALIZATION_FAILURE ||
            sqlstate == ERRCODE_T_R_DEADLOCK_DETECTED)
            return true;
        const std::string before = extension_.row;
        std::optional<Extension> now;
        if (const auto failure = pg::transaction([&now] { now = extension(); }))
            throw *failure;
        return !now || now->row != before;
    }

    void judge(int sqlstate) {
        findings_.checked = true;
        findings_.sqlstate = sqlstate;
        findings_.duration_ms = static_cast<int32>((pg::clock::microseconds() - began_) / 1000);
        if (!extension_.in_one_hand)
            put(findings_.reason, "a function or table of the extension belongs to a role that is not a superuser");
        else if (sqlstate == ERRCODE_LOCK_NOT_AVAILABLE)
            put(findings_.reason, "a lock could not be had within " + std::to_string(question_.timeout_ms) + " ms");
        else if (sqlstate != 0)
            put(findings_.reason, "wc_health_check() failed: " + pg::condition_name(sqlstate));
        else if (!critical_.empty())
            put(findings_.reason, "wc_health_check() finds something critical");
        if (sqlstate != 0)
            return;
        std::string names;
        for (const std::string &name : critical_)
            if (names.size() + name.size() + 1 < sizeof(findings_.failing))
                names += (names.empty() ? "" : "\n") + name;
        put(findings_.failing, names);
    }

    // What can't be read now is read the next time: alerts stay as they are until then.
    void read() {
        if (!extension_.in_one_hand)
            return;
        std::vector<Reading> found;
        if (as_owner([&] { found = readings(extension_.schema); }) != 0)
            return;
        const auto weight = [](const Reading &reading) {
            return reading.warning < 0 ? -1.0 : reading.value / std::max(reading.warning, 1e-9);
        };
        std::stable_sort(found.begin(), found.end(),
                         [&](const Reading &a, const Reading &b) { return weight(a) > weight(b); });
        found.resize(std::min<size_t>(found.size(), most_readings));
        findings_.read = true;
        findings_.readings = static_cast<int32>(found.size());
        std::copy(found.begin(), found.end(), findings_.reading);
    }

    Question question_;
    int64 began_;
    int64 until_;
    Extension extension_;
    std::vector<std::string> critical_;
    Findings findings_ = {};
};

} // namespace

std::string look(std::string_view bytes) {
    Question question = {};
    memcpy(&question, bytes.data(), std::min(bytes.size(), sizeof(question)));
    pg::call([] { SetConfigOption("default_transaction_read_only", "on", PGC_SUSET, PGC_S_SESSION); });
    return Look::bytes(Look(question).run());
}

} // namespace wc::monitor::health

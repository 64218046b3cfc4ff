// One view: locks, the way to go, the refresh.
#include "refresh/perform.hpp"

#include "pg/membership.hpp"
#include "pg/worker.hpp"
#include "refresh/apply.hpp"
#include "refresh/facts.hpp"
#include "refresh/locks.hpp"
#include "refresh/moment.hpp"
#include "refresh/record.hpp"

extern "C" {
#include "access/genam.h"
#include "nodes/makefuncs.h"
#include "pgstat.h"
#include "tcop/dest.h"
#include "tcop/utility.h"
#include "utils/fmgrprotos.h"
}

namespace wc::refresh {

namespace {

bool lock_view(Oid relid, LOCKMODE mode, bool wait) {
    return pg::call([=] {
        if (!wait)
            return ConditionalLockRelationOid(relid, mode);
        LockRelationOid(relid, mode);
        return true;
    });
}

// The locks that REFRESH itself takes. Writing rows below the executor takes the one that any writer has: it keeps out
// REFRESH and ALTER, but neither VACUUM, which would be cancelled, nor CREATE INDEX CONCURRENTLY.
LOCKMODE lock_of(core::Mode mode) {
    switch (mode) {
    case core::Mode::Full:
        return AccessExclusiveLock;
    case core::Mode::Incremental:
        return RowExclusiveLock;
    default:
        return ExclusiveLock;
    }
}

// Whether REFRESH CONCURRENTLY could tell rows apart: a valid unique index over plain columns and all rows.
bool has_unique_index(Oid relid) {
    return pg::call([=] {
        ::Relation view = table_open(relid, NoLock);
        bool found = false;
        ListCell *cell;
        foreach (cell, RelationGetIndexList(view)) {
            ::Relation index = index_open(lfirst_oid(cell), AccessShareLock);
            const Form_pg_index row = index->rd_index;
            bool usable = row->indisunique && row->indimmediate && row->indisvalid && row->indnatts > 0 &&
                          RelationGetIndexPredicate(index) == NIL;
            for (int i = 0; usable && i < row->indnkeyatts; ++i)
                usable = row->indkey.values[i] > 0;
            index_close(index, AccessShareLock);
            found = found || usable;
        }
        table_close(view, NoLock);
        return found;
    });
}

// Rows inserted into and deleted from the view by this transaction so far.
int64_t rows_changed(Oid relid) {
    return pg::call([=] {
        return DatumGetInt64(DirectFunctionCall1(pg_stat_get_xact_tuples_inserted, ObjectIdGetDatum(relid))) +
               DatumGetInt64(DirectFunctionCall1(pg_stat_get_xact_tuples_deleted, ObjectIdGetDatum(relid)));
    });
}

// Runs the statement as SQL would, event triggers and all, with the active snapshot. Returns the rows of the view, as
// the server counted them.
int64_t run_refresh(const Facts &view, bool concurrent) {
    const Facts *const facts = &view;
    return pg::call([=] {
        auto *statement = makeNode(RefreshMatViewStmt);
        statement->concurrent = concurrent;
        statement->relation = makeRangeVar(pstrdup(NameStr(facts->schema)), pstrdup(NameStr(facts->name)), -1);
        auto *planned = makeNode(PlannedStmt);
        planned->commandType = CMD_UTILITY;
        planned->canSetTag = true;
        planned->utilityStmt = reinterpret_cast<Node *>(statement);
        planned->stmt_location = -1;
        const char *text = psprintf("REFRESH MATERIALIZED VIEW %s%s", concurrent ? "CONCURRENTLY " : "",
                                    quote_qualified_identifier(NameStr(facts->schema), NameStr(facts->name)));
        QueryCompletion completion;
        InitializeQueryCompletion(&completion);
        ProcessUtility(planned, text, false, PROCESS_UTILITY_QUERY, nullptr, nullptr, None_Receiver, &completion);
        CommandCounterIncrement();
        return static_cast<int64_t>(completion.nprocessed);
    });
}

// The lock of the refresh itself, on the view, which the mode decides.
bool lock_view_for(const Job &job, Outcome &outcome) {
    if (lock_view(job.relid, lock_of(*outcome.mode), job.conflict == core::Conflict::Wait))
        return true;
    outcome.message = "another transaction has locked it";
    return false;
}

[[noreturn]] void not_there(Outcome &outcome) {
    outcome.mode.reset();
    outcome.message = "it is not installed: run wc_install()";
    throw pg::Error(ERRCODE_UNDEFINED_TABLE, "materialized view does not exist");
}

// Why everything was computed anew although nothing that changed kept it from being told.
std::string reason_of_whole(const Job &job, core::Mode mode, bool logged) {
    if (job.origin == Origin::Install)
        return "the view was made";
    if (!logged)
        return {};
    return mode == core::Mode::Full && job.mode != core::Mode::Full ? "the view was not populated" : "asked for";
}

void require_unique_index(Oid relid, Outcome &outcome) {
    if (has_unique_index(relid))
        return;
    outcome.message = "it has no unique index to refresh it concurrently by: run wc_install()";
    throw pg::Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "materialized view has no usable unique index");
}

// Why a view is computed as a whole; with mend, the tables whose triggers are to be restored before that.
struct Whole {
    std::string reason;
    std::vector<std::string> mend;
};

// The incremental refresh. Nothing: it is done. Otherwise nothing was changed.
std::optional<Whole> refresh_keys(const Job &job, const Facts &view, const Moment &moment, Outcome &outcome) {
    if (!has_unique_index(job.relid))
        return Whole{"it has no unique index", {}};
    pg::Spi spi;
    const auto recorded = recall(spi, job.view, moment.clock());
    if (!recorded)
        return Whole{"no refresh on record", {}};
    const Trust trust = take_marks(job.relid, recorded->plan.table_list());
    std::vector<std::string> mend;
    if (job.may_mend)
        mend = trust.broken;
    std::string reason = difference(recorded->marks, trust.marks);
    if (reason.empty())
        reason = trust.fault;
    if (reason.empty())
        reason = recorded->plan.problem;
    if (reason.empty() && recorded->plan.untried)
        reason = "it had too few rows to try whether it can be restricted to keys";
    if (reason.empty() && recorded->consumed.empty())
        reason = "the change log had grown longer than whitecross.change_log_limit";
    if (reason.empty() && recorded->ahead)
        reason = "the clock went back";
    if (!reason.empty())
        return Whole{reason, mend};
    const int64_t most = job.mode == core::Mode::Auto ? core::most_keys(recorded->row_count) : INT64_MAX;
    const Consumption consumption(spi, recorded->plan, recorded->consumed, most);
    if (!consumption.whole().empty())
        return Whole{consumption.whole(), {}};

    const pg::UserScope owner(view.owner, SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
    Keys keys;
    if (!consumption.too_many())
        keys = consumption.keys(recorded->consumed, recorded->clock);
    if (consumption.too_many() || keys.count > most)
        return Whole{"more than " + std::to_string(most) + " keys may have changed", {}};
    // A few keys are looked up, whatever the planner thinks of a table's size: what it costs must not grow with the
    // table.
    pg::SettingScope by_index;
    if (keys.count <= std::max<int64_t>(1000, recorded->row_count / 20))
        by_index.set("enable_seqscan", "off");
    const Written written = apply(spi, job.relid, recorded->plan, keys);
    outcome.keys = keys.count;
    outcome.rows_written = written.inserted + written.updated + written.deleted;
    outcome.row_count = recorded->row_count + written.inserted - written.deleted;
    outcome.reason = job.mode == core::Mode::Auto ? "the change log is complete" : "asked for";
    return {};
}

// REFRESH MATERIALIZED VIEW.
void refresh_whole(const Job &job, const Facts &view, Outcome &outcome) {
    const bool concurrent = outcome.mode == core::Mode::Concurrent;
    const pg::NotMembers not_members; // neither do the tables that REFRESH makes for a moment become members
    const pg::UserScope owner(view.owner, SECURITY_LOCAL_USERID_CHANGE);
    const int64_t before = rows_changed(job.relid);
    {
        // REFRESH CONCURRENTLY analyzes the new contents before it compares them, every column of up to 30,000 rows by
        // default, which costs as much as comparing. Rows are found by the unique key, so few statistics do.
        pg::SettingScope statistics;
        if (concurrent)
            statistics.set("default_statistics_target", "10");
        outcome.row_count = run_refresh(view, concurrent);
    }
    outcome.rows_written = concurrent ? rows_changed(job.relid) - before : *outcome.row_count;
    if (job.analyze) {
        pg::Spi spi;
        spi.query("ANALYZE " + pg::quote_name(NameStr(view.schema)) + "." + pg::quote_name(NameStr(view.name)));
    }
}

// What the next refresh needs in order to be incremental. The plan is made anew only where something that it was made
// from may have changed: that takes longer than a small view's refresh.
void prepare_next(const Job &job, const Moment &moment, Traces &traces) {
    pg::Spi spi;
    const auto recorded = recall(spi, job.view, moment.clock());
    if (recorded && recorded->plan.problem.empty() && !recorded->plan.untried) {
        traces.marks = take_marks(job.relid, recorded->plan.table_list()).marks;
        Marks same = recorded->marks;
        same["view"] = traces.marks->at("view");
        if (same == *traces.marks)
            return;
    }
    traces.plan = make_plan(spi, job.view);
    traces.marks = take_marks(job.relid, traces.plan->table_list()).marks;
}

} // namespace

Settings::Settings(int lock_timeout) {
    const std::string limit = std::to_string(lock_timeout);
    scope_.set("lock_timeout", limit.c_str());
    scope_.set("search_path", "pg_catalog, pg_temp");
    // An owner that has become subject to row security must get an error, never a view with rows missing.
    scope_.set("row_security", "off");
    scope_.set("jit", "off");
    if (!pgstat_track_counts)
        scope_.set("track_counts", "on"); // rows_written is counted by it
}

Traces perform(const Job &job, Outcome &outcome) {
    outcome.mode.reset();
    outcome.message.clear();
    outcome.reason.clear();
    const Oid relid = job.relid;
    Facts view = facts(relid);
    if (!view.there)
        not_there(outcome);
    const bool logged = has_change_log();
    core::Prospect prospect = {view.populated, logged};
    outcome.mode = core::decide(job.mode, prospect);
    Traces traces;
    outcome.status = Outcome::Status::Skipped;
    if (!lock_refresh(relid, job.conflict == core::Conflict::Wait)) {
        outcome.message = "another transaction is refreshing it";
        return traces;
    }
    // The mode depends on what can be seen under the lock only, and the lock on the mode: so it is looked at again
    // under the lock, and where the mode comes out otherwise, the lock is changed.
    for (;;) {
        const core::Mode mode = *outcome.mode;
        if (!lock_view_for(job, outcome))
            return traces;
        view = facts(relid);
        if (!view.there)
            not_there(outcome);
        prospect.populated = view.populated;
        outcome.mode = core::decide(job.mode, prospect);
        if (outcome.mode == mode) {
            if (mode == core::Mode::Concurrent)
                require_unique_index(relid, outcome);
            if (mode != core::Mode::Incremental && logged)
                announce_whole();
            const Moment moment;
            std::optional<Whole> whole;
            if (mode == core::Mode::Incremental) {
                whole = refresh_keys(job, view, moment, outcome);
            } else {
                if (logged)
                    prepare_next(job, moment, traces);
                refresh_whole(job, view, outcome);
                if (logged)
                    traces.marks->at("view") = mark_of_view(relid);
                if (outcome.reason.empty())
                    outcome.reason = reason_of_whole(job, mode, logged);
            }
            if (!whole) {
                traces.snapshot_at = moment.taken_at();
                traces.clock = moment.clock();
                traces.consumed = moment.consumed();
                break;
            }
            outcome.reason = whole->reason;
            traces.mend = whole->mend;
            if (!traces.mend.empty())
                return traces;
            prospect.incremental = false;
            outcome.mode = core::decide(job.mode, prospect);
        }
        pg::call([=] { UnlockRelationOid(relid, lock_of(mode)); });
    }
    traces.filenode = facts(relid).filenode;
    outcome.status = Outcome::Status::Refreshed;
    return traces;
}

} // namespace wc::refresh

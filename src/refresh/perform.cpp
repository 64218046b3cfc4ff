// One view: locks, the way to go, REFRESH MATERIALIZED VIEW.
#include "refresh/perform.hpp"

#include "pg/membership.hpp"
#include "pg/worker.hpp"

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

// The fourth part of an advisory lock's tag is 1 or 2 for what SQL functions lock: 3 is ours.
constexpr uint16 refresh_lock = 3;

// What the catalogue says of a view at this moment.
struct Facts {
    bool there = false;
    bool populated = false;
    Oid owner = InvalidOid;
    NameData schema = {};
    NameData name = {};
};

Facts facts(Oid relid) {
    return pg::call([=] {
        Facts out;
        HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
        if (!HeapTupleIsValid(tuple))
            return out;
        const auto *row = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
        const char *schema = get_namespace_name(row->relnamespace);
        if (row->relkind == RELKIND_MATVIEW && schema != nullptr) {
            out.there = true;
            out.populated = row->relispopulated;
            out.owner = row->relowner;
            out.name = row->relname;
            namestrcpy(&out.schema, schema);
        }
        ReleaseSysCache(tuple);
        return out;
    });
}

// False: it could not be got at once, and the caller doesn't want to wait. Waiting is bounded by lock_timeout (55P03).
bool lock_refresh(Oid relid, bool wait) {
    return pg::call([=] {
        LOCKTAG tag;
        SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, relid, refresh_lock);
        return LockAcquire(&tag, ExclusiveLock, false, !wait) != LOCKACQUIRE_NOT_AVAIL;
    });
}

bool lock_view(Oid relid, LOCKMODE mode, bool wait) {
    return pg::call([=] {
        if (!wait)
            return ConditionalLockRelationOid(relid, mode);
        LockRelationOid(relid, mode);
        return true;
    });
}

// The locks that REFRESH itself takes.
LOCKMODE lock_of(core::Mode mode) {
    return mode == core::Mode::Full ? AccessExclusiveLock : ExclusiveLock;
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

// Runs the statement as SQL would, event triggers and all. Returns the rows of the view, as the server counted them.
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
        PushActiveSnapshot(GetTransactionSnapshot());
        ProcessUtility(planned, text, false, PROCESS_UTILITY_QUERY, nullptr, nullptr, None_Receiver, &completion);
        PopActiveSnapshot();
        CommandCounterIncrement();
        return static_cast<int64_t>(completion.nprocessed);
    });
}

// Takes both locks. The mode depends on whether the view is populated, and the lock on the mode: so it is looked at
// again under the lock, and if a REFRESH by hand has come between, the lock is changed.
bool lock(const Job &job, Outcome &outcome, Facts &view) {
    const bool wait = job.conflict == core::Conflict::Wait;
    if (!lock_refresh(job.relid, wait)) {
        outcome.message = "another transaction is refreshing it";
        return false;
    }
    for (;;) {
        const core::Mode mode = *outcome.mode;
        const Oid relid = job.relid;
        if (!lock_view(relid, lock_of(mode), wait)) {
            outcome.message = "another transaction has locked it";
            return false;
        }
        view = facts(relid);
        if (!view.there)
            return true;
        outcome.mode = core::decide(job.mode, view.populated);
        if (outcome.mode == mode)
            return true;
        pg::call([=] { UnlockRelationOid(relid, lock_of(mode)); });
    }
}

[[noreturn]] void not_there(Outcome &outcome) {
    outcome.mode.reset();
    outcome.message = "it is not installed: run wc_install()";
    throw pg::Error(ERRCODE_UNDEFINED_TABLE, "materialized view does not exist");
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
    const Oid relid = job.relid;
    Facts view = facts(relid);
    if (!view.there)
        not_there(outcome);
    outcome.mode = core::decide(job.mode, view.populated);
    Traces traces;
    if (!lock(job, outcome, view)) {
        outcome.status = Outcome::Status::Skipped;
        return traces;
    }
    if (!view.there)
        not_there(outcome);
    const bool concurrent = outcome.mode == core::Mode::Concurrent;
    if (concurrent && !has_unique_index(relid)) {
        outcome.message = "it has no unique index to refresh it concurrently by: run wc_install()";
        throw pg::Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "materialized view has no usable unique index");
    }

    {
        const pg::NotMembers not_members; // neither do the tables that REFRESH makes for a moment become members
        const pg::UserScope owner(view.owner, SECURITY_LOCAL_USERID_CHANGE);
        const int64_t before = rows_changed(relid);
        traces.snapshot_at = GetCurrentTimestamp();
        {
            // REFRESH CONCURRENTLY analyzes the new contents before it compares them, every column of up to 30,000 rows
            // by default, which costs as much as comparing. Rows are found by the unique key, so few statistics do.
            pg::SettingScope statistics;
            if (concurrent)
                statistics.set("default_statistics_target", "10");
            outcome.row_count = run_refresh(view, concurrent);
        }
        outcome.rows_written = concurrent ? rows_changed(relid) - before : *outcome.row_count;
        if (job.analyze) {
            const pg::ActiveSnapshot snapshot;
            pg::Spi spi;
            spi.query("ANALYZE " + pg::quote_name(NameStr(view.schema)) + "." + pg::quote_name(NameStr(view.name)));
        }
    }
    const pg::ActiveSnapshot snapshot;
    pg::Spi spi;
    traces.filenode =
        spi.value("SELECT pg_catalog.pg_relation_filenode($1::pg_catalog.oid)", {std::to_string(relid)}).value_or("0");
    outcome.status = Outcome::Status::Refreshed;
    return traces;
}

} // namespace wc::refresh

// Keeping the change log short.
#include "refresh/prune.hpp"

#include "pg/guc.hpp"
#include "pg/membership.hpp"
#include "pg/relation.hpp"
#include "pg/worker.hpp"
#include "refresh/locks.hpp"

extern "C" {
#include "storage/bufmgr.h"
}

namespace wc::refresh {

namespace {

// Rows that one refresh takes away at most: the rest goes with the next ones.
constexpr const char *most_pruned = "20000";
// No page of the log has more rows than this.
constexpr int64_t rows_of_page = 150;

bool lock_log(Oid log) {
    return pg::call([=] { return ConditionalLockRelationOid(log, RowExclusiveLock); });
}

// What could be in the log at most, by the size of its file.
int64_t most_rows(Oid log) {
    return pg::call([=] {
        ::Relation relation = table_open(log, NoLock);
        const int64_t blocks = RelationGetNumberOfBlocks(relation);
        table_close(relation, NoLock);
        return blocks * rows_of_page;
    });
}

// The changes that all transactions seen by every view made. A state counts while its view is there.
void take_away(pg::Spi &spi, const std::string &schema) {
    spi.query(
        "DELETE FROM " + schema + ".wc_change WHERE ctid = ANY (ARRAY(SELECT c.ctid FROM " + schema +
            ".wc_change AS c WHERE c.xid < coalesce((SELECT min(pg_snapshot_xmin(s.consumed)) "
            "FROM " +
            schema +
            ".wc_view_state AS s WHERE s.consumed IS NOT NULL AND EXISTS (SELECT FROM pg_class AS v "
            "WHERE v.oid = split_part(s.trust ->> 'view', '/', 1)::oid)), pg_snapshot_xmin(pg_current_snapshot())) "
            "ORDER BY c.xid, c.seq LIMIT $1::int8 FOR UPDATE SKIP LOCKED))",
        {most_pruned}, pg::Planned::Kept);
}

// Gives up what is pending for views that the whole log is pending for.
void give_up_laggards(pg::Spi &spi, const std::string &schema, const std::string &current) {
    const std::string limit = std::to_string(pg::settings::change_log_limit);
    const auto laggards =
        spi.query(
               "SELECT s.view_name, split_part(s.trust ->> 'view', '/', 1) FROM " + schema +
                   ".wc_view_state AS s WHERE s.consumed IS NOT NULL AND s.view_name <> $1 AND (SELECT count(*) FROM "
                   "(SELECT FROM " +
                   schema +
                   ".wc_change AS c WHERE c.xid >= pg_snapshot_xmin(s.consumed) LIMIT $2::int8 + 1) AS n) > $2::int8",
               {current, limit})
            .rows;
    for (const auto &row : laggards) {
        // One that is being refreshed is about to be up to date. Its row of the state is nobody's while we hold this.
        if (lock_refresh(pg::oid_of(row[1]), false))
            spi.query("UPDATE " + schema + ".wc_view_state SET consumed = NULL WHERE view_name = $1", {row[0]});
    }
}

} // namespace

void prune_changes(const std::string &view) {
    const std::string schema_name = pg::extension_schema();
    const Oid log = pg::find_relation(schema_name, "wc_change");
    if (!OidIsValid(log) || IsolationUsesXactSnapshot() || !lock_log(log))
        return;
    const NoneAnnounced none;
    if (!none.taken())
        return;
    const pg::ActiveSnapshot snapshot;
    pg::Spi spi;
    const std::string schema = pg::quote_name(schema_name);
    take_away(spi, schema);
    if (most_rows(log) > pg::settings::change_log_limit)
        give_up_laggards(spi, schema, view);
}

} // namespace wc::refresh

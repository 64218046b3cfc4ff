// Whether relations have rows.
//
// The health check runs by roles that may not read a child's record, so this looks with the extension owner's rights. A
// query would be the wrong means: a base table may be a view, or have policies, of somebody's own making, and what they
// call would run with those rights. So the relation is opened, what it is is checked under the lock, and its heap is
// scanned up to the first row that is visible.
#include "observe/presence.hpp"

#include "pg/relation.hpp"

extern "C" {
#include "access/tableam.h"
#include "catalog/pg_inherits.h"
}

namespace wc::observe {

namespace {

// Whether one relation has a row of its own. Plain server code: call it inside a guard.
bool scan(Oid relid) {
    ::Relation relation = table_open(relid, AccessShareLock);
    bool found = false;
    if (relation->rd_rel->relkind == RELKIND_RELATION ||
        (relation->rd_rel->relkind == RELKIND_MATVIEW && relation->rd_rel->relispopulated)) {
        TableScanDesc scan = table_beginscan(relation, GetActiveSnapshot(), 0, nullptr);
        TupleTableSlot *slot = table_slot_create(relation, nullptr);
        found = table_scan_getnextslot(scan, ForwardScanDirection, slot);
        ExecDropSingleTupleTableSlot(slot);
        table_endscan(scan);
    }
    table_close(relation, AccessShareLock);
    return found;
}

// Whether a table, with its partitions and children, has a row.
bool any_row(Oid relid) {
    List *tree = find_all_inheritors(relid, AccessShareLock, nullptr);
    ListCell *cell;
    bool found = false;
    foreach (cell, tree) {
        CHECK_FOR_INTERRUPTS();
        if (scan(lfirst_oid(cell))) {
            found = true;
            break;
        }
    }
    list_free(tree);
    return found;
}

std::optional<bool> has_rows(Oid relid) {
    if (!OidIsValid(relid))
        return {};
    const bool plain = pg::call([=] {
        const char kind = get_rel_relkind(relid);
        return kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE || kind == RELKIND_MATVIEW;
    });
    if (!plain)
        return {};
    return pg::call([=] { return any_row(relid); });
}

} // namespace

std::vector<Presence> presence(pg::Spi &spi) {
    std::vector<Presence> found;
    for (const schema::View &view : schema::views(spi))
        found.push_back({view.name, has_rows(view.relid)});
    const std::string schema = schema::configuration(spi, "base_schema");
    for (const char *const table : {"students", "student_medications", "appointments"})
        found.push_back({table, has_rows(pg::find_relation(schema, table))});
    return found;
}

} // namespace wc::observe

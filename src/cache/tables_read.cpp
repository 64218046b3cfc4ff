// Tables that a query names.
#include "cache/tables_read.hpp"

extern "C" {
#include "access/transam.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
}

namespace wc::cache {

namespace {

// By what it is itself.
bool is_refused(Oid table, char kind, Refusal *why) {
    if (get_rel_persistence(table) == RELPERSISTENCE_TEMP) {
        *why = Refusal::TemporaryTable;
        return true;
    }
    switch (kind) {
    case RELKIND_RELATION:
    case RELKIND_PARTITIONED_TABLE:
    case RELKIND_MATVIEW:
    case RELKIND_VIEW: // what a view reads is there besides
        return false;
    case RELKIND_FOREIGN_TABLE:
        *why = Refusal::ForeignTable;
        return true;
    case RELKIND_SEQUENCE:
        *why = Refusal::Sequence;
        return true;
    case RELKIND_TOASTVALUE:
        *why = Refusal::CatalogueTable;
        return true;
    default:
        *why = Refusal::OtherQuery;
        return true;
    }
}

} // namespace

bool is_refused(const RangeTblEntry *table, Refusal *why) {
    if (table->relid < FirstNormalObjectId) { // information_schema too
        *why = Refusal::CatalogueTable;
        return true;
    }
    if (is_refused(table->relid, get_rel_relkind(table->relid), why))
        return true;
    if (table->tablesample != nullptr) {
        *why = Refusal::Tablesample;
        return true;
    }
    if (!table->inh || !has_subclass(table->relid))
        return false;
    // A table may have a temporary child, which only its own session reads with it, and whoever else has one does not
    // count; a partition may be foreign.
    List *const family = find_all_inheritors(table->relid, NoLock, nullptr);
    if (list_length(family) > most_tables) {
        *why = Refusal::TooManyTables;
        return true;
    }
    ListCell *cell;
    foreach (cell, family) {
        const Oid member = lfirst_oid(cell);
        if (!isOtherTempNamespace(get_rel_namespace(member)) && is_refused(member, get_rel_relkind(member), why))
            return true;
    }
    return false;
}

} // namespace wc::cache

// A table with its partitions and children.
#include "cache/relatives.hpp"

extern "C" {
#include "catalog/pg_inherits.h"
}

namespace wc::cache {

std::vector<Oid> relatives_of(Oid relation) {
    const List *const found = pg::call([relation]() -> const List * {
        const char *const name = get_rel_name(relation);
        if (name == nullptr)
            ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation with OID %u does not exist", relation)));
        switch (get_rel_relkind(relation)) {
        case RELKIND_RELATION:
        case RELKIND_PARTITIONED_TABLE:
        case RELKIND_FOREIGN_TABLE:
        case RELKIND_VIEW:
        case RELKIND_MATVIEW:
            break;
        default:
            ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"%s\" is not a table or view", name),
                            errhint("Give the table, view or materialized view that queries read.")));
        }
        return find_all_inheritors(relation, NoLock, nullptr);
    });
    std::vector<Oid> all;
    all.reserve(static_cast<size_t>(list_length(found)));
    const ListCell *cell = nullptr;
    foreach (cell, found)
        all.push_back(lfirst_oid(cell));
    return all;
}

} // namespace wc::cache

// The databases of the server: pg_database, read row by row, because nothing else can be without a connection.
#include "pg/databases.hpp"

#include "pg/worker.hpp"

extern "C" {
#include "access/heapam.h"
#include "access/tableam.h"
#include "catalog/pg_database.h"
}

namespace wc::pg {

namespace {

struct Found {
    Oid oid;
    NameData name;
    bool connectable;
    bool is_template;
};

// In the memory of the transaction. Plain server code: call it inside a guard.
List *scan() {
    List *found = NIL;
    (void)GetTransactionSnapshot();
    ::Relation table = table_open(DatabaseRelationId, AccessShareLock);
    TableScanDesc scan = table_beginscan_catalog(table, 0, nullptr);
    for (HeapTuple tuple = heap_getnext(scan, ForwardScanDirection); HeapTupleIsValid(tuple);
         tuple = heap_getnext(scan, ForwardScanDirection)) {
        const auto *row = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
        auto *one = static_cast<Found *>(palloc0(sizeof(Found)));
        one->oid = row->oid;
        one->name = row->datname;
        one->connectable = row->datallowconn && row->datconnlimit >= -1;
        one->is_template = row->datistemplate;
        found = lappend(found, one);
    }
    table_endscan(scan);
    table_close(table, AccessShareLock);
    return found;
}

} // namespace

std::vector<Database> databases() {
    std::vector<Database> out;
    const auto failure = transaction([&out] {
        const List *const found = call([] { return scan(); });
        ListCell *cell;
        foreach (cell, found) {
            const auto *one = static_cast<const Found *>(lfirst(cell));
            out.push_back({one->oid, NameStr(one->name), one->connectable, one->is_template});
        }
    });
    if (failure)
        throw *failure;
    return out;
}

} // namespace wc::pg

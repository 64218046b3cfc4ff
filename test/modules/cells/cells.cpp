// What the tests of the result cache's generations look at: the cells in the server's shared memory, as they are. A
// library that only the tests load, with the cache's own code in it, attached to the block of memory that the extension
// has made.
#include "cache/cells.hpp"
#include "cache/generations.hpp"
#include "cache/prepared.hpp"
#include "pg/function.hpp"
#include "pg/module.hpp"

extern "C" {
#include "storage/shmem.h"
}

using namespace wc;
using namespace wc::cache;

namespace {

void attach() {
    if (generations::board != nullptr)
        return;
    bool found = false;
    const Size size = MAXALIGN(sizeof(generations::Board)) +
                      generations::prepared::most_records() * sizeof(generations::prepared::Record);
    void *block = pg::call([&] { return ShmemInitStruct(generations::block_name, size, &found); });
    if (!found)
        throw pg::Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "whitecross is not preloaded");
    generations::board = static_cast<generations::Board *>(block);
    generations::prepared::start(reinterpret_cast<generations::prepared::Record *>(
                                     static_cast<char *>(block) + MAXALIGN(sizeof(generations::Board))),
                                 false);
}

uint32 named_cell(const std::string &name, Oid database, Oid relation) {
    if (name == "rules")
        return generations::rules_cell(database);
    if (name == "names")
        return generations::names_cell(database);
    if (name == "everything")
        return generations::everything_cell();
    return generations::cell_of(database, relation);
}

// What a transaction writes when it has been asked to commit: where this library is loaded before the extension, after
// the extension has been told.
char *late = nullptr;

extern "C" void write_late(XactEvent event, void *) {
    if (late == nullptr || (event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_PRE_PREPARE))
        return;
    const char *sql = std::exchange(late, nullptr);
    PushActiveSnapshot(GetTransactionSnapshot());
    SPI_connect();
    SPI_execute(sql, false, 0);
    SPI_finish();
    PopActiveSnapshot();
}

} // namespace

extern "C" {
WC_EXPORT void _PG_init(void);
void _PG_init(void) {
    RegisterXactCallback(write_late, nullptr);
}
}

// cells_write_late(sql): what this transaction does last.
WC_FUNCTION(cells_write_late) {
    const std::string sql = pg::required_text(fcinfo, 0, "sql");
    late = pg::call([&] { return MemoryContextStrdup(TopMemoryContext, sql.c_str()); });
    return pg::return_null(fcinfo);
}

// cell_state(kind, database, relation) -> its generation and its marks; kind: table, rules, names, everything.
WC_FUNCTION(cell_state) {
    attach();
    generations::Cell &cell =
        generations::board->cell[named_cell(pg::required_text(fcinfo, 0, "kind"), PG_GETARG_OID(1), PG_GETARG_OID(2))];
    return pg::return_text(fcinfo, std::to_string(pg_atomic_read_u64(&cell.generation)) + " " +
                                       std::to_string(pg_atomic_read_u32(&cell.marks)));
}

// cell_storable(kind, database, relation, since) -> whether a result that was begun at that moment may be stored.
WC_FUNCTION(cell_storable) {
    attach();
    Dependency noted = {};
    return BoolGetDatum(
        generations::note(named_cell(pg::required_text(fcinfo, 0, "kind"), PG_GETARG_OID(1), PG_GETARG_OID(2)),
                          static_cast<uint64>(PG_GETARG_INT64(3)), noted));
}

// cells_moment() -> the clock.
WC_FUNCTION(cells_moment) {
    attach();
    return Int64GetDatum(static_cast<int64>(generations::moment()));
}

// cells_usable() -> whether generations can be relied on; settles prepared transactions that are over.
WC_FUNCTION(cells_usable) {
    attach();
    return BoolGetDatum(generations::usable());
}

// cells_held() -> prepared transactions that hold marks.
WC_FUNCTION(cells_held) {
    attach();
    return Int32GetDatum(static_cast<int32>(generations::held_by_prepared()));
}

// cells_marked() -> how many cells are marked.
WC_FUNCTION(cells_marked) {
    attach();
    int32 marked = 0;
    for (generations::Cell &cell : generations::board->cell)
        marked += pg_atomic_read_u32(&cell.marks) != 0 ? 1 : 0;
    return Int32GetDatum(marked);
}

// cells_wrote(relation) -> whether the transaction that runs now has.
WC_FUNCTION(cells_wrote) {
    return BoolGetDatum(generations::own_writes().wrote(PG_GETARG_OID(0)));
}

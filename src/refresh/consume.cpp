// Which keys of a view a refresh has to compute anew.
#include "refresh/consume.hpp"

#include "pg/kept.hpp"
#include "pg/membership.hpp"
#include "schema/schema.hpp"

extern "C" {
#include "utils/queryenvironment.h"
#include "utils/tuplestore.h"
}

namespace wc::refresh {

namespace {

// How many distinct changes of base tables are read for one key that a refresh may have.
constexpr int64_t changes_for_a_key = 10;
constexpr int batch = 1000;

// What a pass over the log found.
struct Found {
    uint64 rows = 0;
    const char *whole = nullptr; // a table that was changed as a whole
};

// Puts the pending changes into a tuplestore that the statements of this connection see as wc_changed. The view's owner
// may not read the log; to its query the changes are what transition tables are to a trigger's.
// Plain server code: call it inside a guard.
Found register_pending(const char *sql, const char *consumed, const char *tables, int64 limit) {
    Found out;
    Oid types[3] = {TEXTOID, TEXTOID, INT8OID};
    Datum values[3] = {CStringGetTextDatum(consumed), CStringGetTextDatum(tables), Int64GetDatum(limit)};
    Portal portal = SPI_cursor_open(nullptr, pg::kept_plan(sql, 3, types), values, nullptr, true);
    auto *relation = static_cast<EphemeralNamedRelation>(palloc0(sizeof(EphemeralNamedRelationData)));
    Tuplestorestate *rows = tuplestore_begin_heap(false, false, work_mem);
    for (;;) {
        SPI_cursor_fetch(portal, true, batch);
        SPITupleTable *table = SPI_tuptable;
        if (relation->md.tupdesc == nullptr)
            relation->md.tupdesc = CreateTupleDescCopy(table->tupdesc);
        const uint64 fetched = SPI_processed;
        for (uint64 i = 0; i < fetched; ++i) {
            CHECK_FOR_INTERRUPTS();
            bool null;
            (void)SPI_getbinval(table->vals[i], table->tupdesc, 2, &null);
            if (null)
                out.whole = SPI_getvalue(table->vals[i], table->tupdesc, 1);
            else
                tuplestore_puttuple(rows, table->vals[i]);
        }
        out.rows += fetched;
        SPI_freetuptable(table);
        if (fetched == 0 || out.whole != nullptr)
            break;
    }
    SPI_cursor_close(portal);
    relation->md.name = pstrdup("wc_changed");
    relation->md.enrtype = ENR_NAMED_TUPLESTORE;
    relation->md.enrtuples = static_cast<double>(out.rows);
    relation->reldata = rows;
    if (SPI_register_relation(relation) != SPI_OK_REL_REGISTER)
        elog(ERROR, "could not register the pending changes");
    return out;
}

} // namespace

Consumption::Consumption(pg::Spi &, const Plan &plan, const std::string &consumed, int64_t limit)
    : plan_(plan), limit_(limit) {
    const std::string keys = plan.whole_tables.empty()
                                 ? "c.keys"
                                 : "CASE WHEN c.table_name <> ALL (pg_catalog.string_to_array(" +
                                       pg::quote_value(plan.whole_tables) + ", ',')) THEN c.keys END AS keys";
    const std::string sql = "SELECT c.table_name, " + keys + " FROM " + pg::quote_name(pg::extension_schema()) +
                            ".wc_change AS c WHERE " + schema::pending_condition("$1::pg_snapshot") +
                            "   AND c.table_name = ANY (pg_catalog.string_to_array($2, ','))"
                            " GROUP BY 1, 2 LIMIT $3";
    const char *const sql_text = sql.c_str();
    const char *const consumed_text = consumed.c_str();
    const char *const tables = plan.tables.c_str();
    const int64_t most = limit > INT64_MAX / changes_for_a_key - 1 ? INT64_MAX : limit * changes_for_a_key + 1;
    const Found found = pg::call([=] { return register_pending(sql_text, consumed_text, tables, most); });
    if (found.whole != nullptr)
        whole_ = std::string("table ") + found.whole + " was changed as a whole";
    too_many_ = found.rows >= static_cast<uint64>(most);
}

Keys Consumption::keys(const std::string &consumed, const std::string &clock) const {
    const char *const sql = plan_.keys.c_str();
    const char *const consumed_text = consumed.c_str();
    const char *const clock_text = clock.c_str();
    const int64_t most = limit_ == INT64_MAX ? limit_ : limit_ + 1;
    const int columns = plan_.key_columns;
    return pg::call([=] {
        Keys out;
        Oid types[3] = {TEXTOID, TEXTOID, INT8OID};
        Datum values[3] = {CStringGetTextDatum(consumed_text), CStringGetTextDatum(clock_text), Int64GetDatum(most)};
        if (SPI_execute_plan(pg::kept_plan(sql, 3, types), values, nullptr, true, 0) != SPI_OK_SELECT ||
            SPI_processed != 1)
            elog(ERROR, "the query for changed keys gave no row");
        bool null;
        out.columns = columns;
        out.count = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
        auto *arrays = static_cast<Datum *>(palloc0(sizeof(Datum) * columns));
        for (int i = 0; i < columns; ++i)
            arrays[i] = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 2, &null);
        out.arrays = arrays;
        return out;
    });
}

} // namespace wc::refresh

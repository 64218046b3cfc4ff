// Hypothetical indexes. They live in the session's memory, whatever becomes of transactions: so they have to be
// dropped.
#include "observe/hypothetical.hpp"

namespace wc::observe {

namespace {

// Defers cancels and shutdowns for the life of the object.
class HeldInterrupts {
  public:
    HeldInterrupts() { HOLD_INTERRUPTS(); }
    HeldInterrupts(const HeldInterrupts &) = delete;
    HeldInterrupts &operator=(const HeldInterrupts &) = delete;
    ~HeldInterrupts() { RESUME_INTERRUPTS(); }
};

} // namespace

Hypothetical::Hypothetical(pg::Spi &spi) {
    const pg::Text schema =
        spi.read("SELECT (SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_extension AS e "
                 "JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'hypopg')")
            .rows.at(0)
            .at(0);
    if (!schema)
        throw pg::Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "extension hypopg is not installed in this database",
                        "Indexes are tried as hypothetical ones before any is suggested.",
                        "CREATE EXTENSION hypopg; as a superuser. Debian has it as postgresql-NN-hypopg.");
    schema_ = *schema;
    before_ = *spi.read("SELECT coalesce(array_agg(h.indexrelid), '{}')::text FROM " + schema_ + ".hypopg() AS h")
                   .rows.front()
                   .front();
}

HypotheticalIndex Hypothetical::create(pg::Spi &spi, const std::string &definition) const {
    const pg::Row row = spi.read("SELECT h.indexrelid, " + schema_ + ".hypopg_relation_size(h.indexrelid) FROM " +
                                     schema_ + ".hypopg_create_index($1) AS h",
                                 {definition})
                            .rows.at(0);
    return {pg::oid_of(row[0]), std::stoll(row[1].value())};
}

void Hypothetical::drop(pg::Spi &spi) const {
    const HeldInterrupts held;
    // An executed statement, so that hypopg notes the end of the last EXPLAIN too: until then it would show the
    // session's own hypothetical indexes to any plan.
    (void)spi.read("SELECT " + schema_ + ".hypopg_drop_index(h.indexrelid) FROM " + schema_ +
                       ".hypopg() AS h WHERE h.indexrelid <> ALL ($1::oid[])",
                   {before_});
}

} // namespace wc::observe

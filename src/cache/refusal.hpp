// Why the rows of a query were not taken from the cache, or not stored. A reason's word is what SQL shows.
#pragma once

namespace wc::cache {

// Add one anywhere before `Count`, and its word in refusal.cpp.
enum class Refusal {
    // The server or the session.
    NotPreloaded, // never counted: there is no memory to count in
    Off,          // whitecross.cache, or whitecross.cache_entries is 0
    Recovery,     // a standby
    NotReady,     // prepared transactions of before the server's start are being looked for
    Isolation,    // REPEATABLE READ or SERIALIZABLE
    OwnWrites,    // the transaction has written one of the tables
    OwnDdl,       // the transaction may have changed a catalogue

    // The query.
    NoRows, // it returns none
    Utility,
    ModifiesData,
    RowMarks, // FOR UPDATE and its kin
    VolatileFunction,
    StableFunction, // that may read tables, the clock or settings that aren't in the key
    Clock,
    CurrentUser,
    RowSecurity,
    TemporaryTable,
    ForeignTable,
    CatalogueTable,
    Sequence,
    Tablesample,
    DomainCheck,
    ObjectIdentifier, // a constant or a column of regclass and its kin
    RecordType,
    TooManyTables,
    OtherQuery, // anything else that isn't known to be safe

    // The fill.
    Written,   // a table was written, or a catalogue changed, while it ran
    Forgotten, // wc_cache_clear() or wc_cache_invalidate_tag() was called while it ran
    TooLarge,
    NoRoom,
    NoMemory, // of the session, to keep the rows in
    Unseen,   // it ran something of which the cache doesn't know what it read

    Count
};

constexpr int refusal_count = static_cast<int>(Refusal::Count);

// "not_preloaded", "own_writes" ...
const char *word(Refusal reason) noexcept;

} // namespace wc::cache

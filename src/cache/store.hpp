// The first tier of the result cache: entries in shared memory of fixed size, found by their digest.
//
// What is stored of an entry is what it was read from (cells with their generations), the tables for people to see, and
// the rows as whoever stores them has put them into bytes. Entries are in 16 partitions, each with a lock of its own; a
// hit holds its partition's lock shared while it copies the bytes out. Nothing here raises or waits for anything but
// these locks.
#pragma once

#include "cache/generations.hpp"
#include "pg/guard.hpp"

#include <array>
#include <string_view>

namespace wc::cache {

// The name of an entry: a keyed digest of all that decides the answer.
struct Digest {
    std::array<uint8, 32> bytes;
    bool operator==(const Digest &) const = default;
};

namespace store {

constexpr size_t longest_tag = 128;        // bytes
constexpr size_t most_dependencies = 4096; // of an entry

// Whether there is anything to look up in: the library is preloaded, and whitecross.cache_entries is not 0.
bool made() noexcept;

// Bytes of an entry, in the memory context that was current. Release it with pfree().
struct Copy {
    char *bytes = nullptr;
    size_t size = 0;
};

enum class Look {
    Hit,
    Absent,  // or there is no memory to copy it into
    Stale,   // something that it was read from has moved or is about to: it is gone, and counted
    Expired, // it was too old: it is gone, and counted
};

// An entry of this name that is as good as its query's rows now. To be called when invalidation messages are accepted,
// the tables locked and permissions checked. Counts invalidations and expirations; whether the call was a hit or a miss
// is the caller's to count (stats::count), once a call.
Look find(const Digest &digest, Copy &out) noexcept;

// What is known of an entry besides its rows. Its database is this one.
struct About {
    Oid role = InvalidOid; // with whose rights it was read
    uint64 query_id = 0;
    int64 ttl_ms = 0;                         // greater than 0
    std::string_view tag;                     // at most longest_tag bytes; no data: it has none
    double cost_ms = 0;                       // what running the query took
    uint64 since = 0;                         // the moment (generations::moment()) before the query was looked at
    const Dependency *dependencies = nullptr; // each with the generation that note() gave
    size_t dependency_count = 0;
    const Oid *tables = nullptr; // tables and views, for wc_cache_entries
    size_t table_count = 0;
};

enum class Stored {
    Stored,
    TooLarge,  // more than whitecross.cache_max_entry or than the whole cache, or too many dependencies
    NoRoom,    // nothing that could be evicted
    Forgotten, // wc_cache_clear() or wc_cache_invalidate_tag() was called since
    Newer,     // another session has stored a newer one
};

// Stores an entry, evicting others where it must. Counts stores, evictions and its refusals.
Stored put(const Digest &digest, const About &about, const void *bytes, size_t size) noexcept;

// Whether the entries of this database that are known by a tag have been asked to go (wc_cache_invalidate_tag) since
// that moment. clear(), which leaves nothing, moves the cell `rules` of the database besides.
bool forgotten(uint64 since) noexcept;

// For SQL; each throws Error where the library isn't preloaded.

// Removes all entries of this database, and lets nothing be stored that was read before. Returns how many there were.
int64 clear();

// The same of entries whose tag is like the pattern (LIKE, in the database's encoding, bytes compared). Throws Error
// for a pattern that ends with an escape (22025).
int64 invalidate_tags(const std::string &pattern);

// The same of entries that depend on one of these cells, which the caller has moved.
int64 invalidate_cells(const std::vector<uint32> &cells);

struct Entry {
    Oid role;
    uint64 query_id;
    std::optional<std::string> tag;
    std::vector<Oid> tables;
    int64 ttl_ms;
    int64 age_ms;
    uint64 hits;
    uint64 bytes;
    double cost_ms;
};
// The entries of this database that a role may see; whose: InvalidOid for those of all roles.
std::vector<Entry> entries(Oid whose);

// Entries and their bytes, by database.
struct Held {
    Oid database;
    uint64 entries;
    uint64 bytes; // of rows
};
std::vector<Held> held();

// Of the whole memory, for tests and wc_cache_stats: what is taken is always the sum of what entries hold.
struct Room {
    uint64 entries;
    uint64 most_entries;
    uint64 bytes; // of blocks that are taken
    uint64 most_bytes;
};
Room room();

// Its shared memory. Called once, by cache::init().
void init();

} // namespace store
} // namespace wc::cache

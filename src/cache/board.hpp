// The store's shared memory: places for entries, chained by digest in 16 partitions, and the blocks that their bytes
// are in. Only src/cache/board.cpp and src/cache/store*.cpp know of it.
//
// Bytes are kept in chains of blocks of one size, so that freeing what is evicted always makes room for what comes,
// however long the server runs: there is nothing to fragment, and nothing is allocated after the server's start.
//
// Two kinds of locks, and nobody holds two of them: that of a partition, for its chains, and what its entries are; and
// that of the room, for the lists of free places and free blocks. A place that was taken belongs to whoever took it
// until it is linked into its partition, and again after it was unlinked.
#pragma once

#include "cache/store.hpp"
#include "core/cache_policy.hpp"
#include "pg/locked.hpp"

extern "C" {
#include "port/atomics.h"
#include "storage/lwlock.h"
}

namespace wc::cache::store {

constexpr uint32 partitions = 16;
constexpr uint32 none = UINT32_MAX; // no place, no block
constexpr size_t block_size = 1024;

// What is looked at to choose who goes, without a lock: of many entries little memory.
struct Hot {
    pg_atomic_uint64 heat;       // core::Heat; 0: the place is free, or about to be linked
    pg_atomic_uint64 expires_at; // microseconds, pg/clock.hpp
    pg_atomic_uint32 bucket;     // tells the partition
    uint32 blocks;
    float cost_ms;
};

struct Place {
    Digest digest;
    uint32 next;   // in its bucket, or in the list of free places
    uint64 number; // of the entry: no two have the same
    uint64 since;
    Oid database;
    Oid role;
    uint64 query_id;
    int64 stored_at; // microseconds
    int64 ttl_ms;
    pg_atomic_uint64 hits;
    uint32 first_block;
    uint32 last_block;
    uint32 dependencies; // the blocks have these first, then tables, then the rows' bytes
    uint32 tables;
    uint64 size;      // of the rows' bytes
    int32 tag_length; // -1: no tag
    char tag[longest_tag];
};

struct Board {
    LWLock *room; // of what follows until `stores`
    uint32 free_place;
    uint32 free_places;
    uint32 free_block;
    uint32 free_blocks;
    uint32 places;
    uint32 buckets; // a power of two
    uint32 blocks;
    int tranche;
    core::CachePolicy policy;
    pg_atomic_uint64 stores;
    pg_atomic_uint64 forgotten[64]; // by database: see store::forgotten()
    LWLockPadded locks[partitions];
};

extern Board *board; // null: there is no store
extern Hot *hot;     // of each place
extern Place *place;
extern uint32 *bucket;     // its first place
extern uint32 *next_block; // in its chain, or in the list of free blocks

LWLock *lock_of(uint32 bucket_number) noexcept;
uint32 bucket_of(const Digest &digest) noexcept;
pg_atomic_uint64 &forgotten_word(Oid database) noexcept;

// With the partition's lock.
uint32 look_up(const Digest &digest, uint32 bucket_number) noexcept; // none: it isn't there
void link(uint32 number, uint32 bucket_number) noexcept;
void unlink(uint32 number) noexcept; // with the lock held exclusively: the place is the caller's then

// Without any lock.
struct Taken {
    uint32 place = none;
    bool memory_is_short = false; // else places are
};
Taken take(uint32 blocks) noexcept; // a place with a chain of so many blocks; place none: there is not enough
void give_back(uint32 number) noexcept;

// Bytes in a chain, one after the other.
class Stream {
  public:
    explicit Stream(uint32 first_block) : block_(first_block) {}
    void write(const void *from, size_t size) noexcept;
    void read(void *to, size_t size) noexcept;
    // The next ones, as many as stand in one piece, at most so many; goes on behind them.
    const char *piece(size_t &size) noexcept;

  private:
    char *here() noexcept;
    uint32 block_;
    size_t offset_ = 0; // in it; block_size: in the next one, if there is one
};

constexpr size_t blocks_for(size_t bytes) {
    return bytes == 0 ? 1 : (bytes + block_size - 1) / block_size;
}

} // namespace wc::cache::store

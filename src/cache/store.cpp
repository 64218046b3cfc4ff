// Finding, storing, evicting. Plain code under the locks of board.hpp: nothing raises.
#include "cache/board.hpp"
#include "cache/stats.hpp"
#include "pg/clock.hpp"
#include "pg/guc_cache.hpp"

#include <algorithm>

namespace wc::cache::store {

namespace {

using stats::Counter;

static_assert(block_size % sizeof(Dependency) == 0, "a dependency stands in one block");

bool is_unchanged(const Place &entry) noexcept {
    Stream stream(entry.first_block);
    size_t left = entry.dependencies * sizeof(Dependency);
    while (left > 0) {
        size_t here = left;
        const char *const noted = stream.piece(here);
        if (!generations::unchanged(reinterpret_cast<const Dependency *>(noted), here / sizeof(Dependency)))
            return false;
        left -= here;
    }
    return true;
}

// Of the entry's rows; false: there is no memory.
bool copy_out(const Place &entry, Copy &out) noexcept {
    auto *const to = static_cast<char *>(
        MemoryContextAllocExtended(CurrentMemoryContext, entry.size, MCXT_ALLOC_NO_OOM | MCXT_ALLOC_HUGE));
    if (to == nullptr)
        return false;
    Stream stream(entry.first_block);
    size_t before = entry.dependencies * sizeof(Dependency) + entry.tables * sizeof(Oid);
    while (before > 0) {
        size_t here = before;
        (void)stream.piece(here);
        before -= here;
    }
    stream.read(to, entry.size);
    out = {to, entry.size};
    return true;
}

void note_use(uint32 number) noexcept {
    pg_atomic_uint64 &heat = hot[number].heat;
    const auto stores = static_cast<uint32>(pg_atomic_read_u64(&board->stores));
    pg_atomic_write_u64(&heat, board->policy.used(pg_atomic_read_u64(&heat), stores));
    pg_atomic_fetch_add_u64(&place[number].hits, 1);
}

uint64 &seed() noexcept {
    static constinit uint64 own = 0;
    if (own == 0)
        own = static_cast<uint64>(pg::clock::microseconds()) << 20 ^ static_cast<uint64>(MyProcPid);
    return own;
}

// The one of some entries that is worth least; of those that are too old the first. none: there are no entries.
uint32 choose(bool memory_is_short) noexcept {
    constexpr uint64 step = 2654435761; // a prime, greater than any number of places: so each place is met once
    const auto stores = static_cast<uint32>(pg_atomic_read_u64(&board->stores));
    const auto now = static_cast<uint64>(pg::clock::microseconds());
    uint64 at = core::next_random(seed()) % board->places;
    uint32 least = none;
    double least_worth = 0;
    const int sample = memory_is_short ? core::CachePolicy::sample_for_memory : core::CachePolicy::sample;
    int met = 0;
    constexpr uint32 enough = 4096; // places looked at, where most are free because memory is what is short
    for (uint32 i = 0; i < board->places && met < sample; ++i, at = (at + step) % board->places) {
        if (i >= enough && least != none)
            break;
        Hot &each = hot[at];
        const core::Heat heat = pg_atomic_read_u64(&each.heat);
        if (heat == 0)
            continue;
        if (pg_atomic_read_u64(&each.expires_at) <= now)
            return static_cast<uint32>(at);
        const double worth = board->policy.worth(heat, stores, each.cost_ms, each.blocks * block_size, memory_is_short);
        if (least == none || worth < least_worth) {
            least = static_cast<uint32>(at);
            least_worth = worth;
        }
        ++met;
    }
    return least;
}

// Makes room by an entry. False: there is none, or others were faster with the one that was chosen.
bool evict(bool memory_is_short) noexcept {
    const uint32 number = choose(memory_is_short);
    if (number == none)
        return false;
    const uint32 in = pg_atomic_read_u32(&hot[number].bucket);
    bool expired = false;
    Oid database = InvalidOid;
    {
        const pg::Locked locked(lock_of(in));
        if (pg_atomic_read_u64(&hot[number].heat) == 0 || pg_atomic_read_u32(&hot[number].bucket) != in)
            return false;
        expired = pg_atomic_read_u64(&hot[number].expires_at) <= static_cast<uint64>(pg::clock::microseconds());
        database = place[number].database;
        unlink(number);
    }
    give_back(number);
    stats::count_in(database, expired ? Counter::Expirations : Counter::Evictions);
    return true;
}

// A place with room for so much. none: there is nothing to evict, because others are about to fill what is taken, or
// they took what was evicted each time.
uint32 make_room(uint32 blocks) noexcept {
    constexpr int most_in_vain = 16;
    int in_vain = 0;
    for (uint32 attempts = 0; attempts < 2 * board->places + 64 && in_vain < most_in_vain; ++attempts) {
        const Taken taken = take(blocks);
        if (taken.place != none)
            return taken.place;
        in_vain = evict(taken.memory_is_short) ? 0 : in_vain + 1;
    }
    return none;
}

void fill_in(uint32 number, const Digest &digest, const About &about, const void *bytes, size_t size) noexcept {
    Place &entry = place[number];
    const int64 now = pg::clock::microseconds();
    entry.digest = digest;
    entry.number = pg_atomic_add_fetch_u64(&board->stores, 1);
    entry.since = about.since;
    entry.database = MyDatabaseId;
    entry.role = about.role;
    entry.query_id = about.query_id;
    entry.stored_at = now;
    entry.ttl_ms = about.ttl_ms;
    pg_atomic_write_u64(&entry.hits, 0);
    entry.dependencies = static_cast<uint32>(about.dependency_count);
    entry.tables = static_cast<uint32>(about.table_count);
    entry.size = size;
    entry.tag_length = about.tag.data() == nullptr ? -1 : static_cast<int32>(std::min(about.tag.size(), longest_tag));
    if (entry.tag_length > 0)
        memcpy(entry.tag, about.tag.data(), static_cast<size_t>(entry.tag_length));
    // A time to live may be longer than the clock can tell of.
    const int64 most_ms = (PG_INT64_MAX - now) / 1000;
    pg_atomic_write_u64(&hot[number].expires_at, static_cast<uint64>(now + std::min(about.ttl_ms, most_ms) * 1000));
    hot[number].cost_ms = static_cast<float>(about.cost_ms);
    Stream stream(entry.first_block);
    stream.write(about.dependencies, about.dependency_count * sizeof(Dependency));
    stream.write(about.tables, about.table_count * sizeof(Oid));
    stream.write(bytes, size);
}

// Puts what was filled in where everybody finds it; replaced: what was there.
Stored show(uint32 number, uint32 &replaced) noexcept {
    const uint32 in = bucket_of(place[number].digest);
    const pg::Locked locked(lock_of(in));
    // Under the lock: what is asked to go is either found there afterwards, or seen here.
    if (forgotten(place[number].since))
        return Stored::Forgotten;
    const uint32 there = look_up(place[number].digest, in);
    if (there != none && place[there].since > place[number].since)
        return Stored::Newer;
    if (there != none) {
        unlink(there);
        replaced = there;
    }
    link(number, in);
    return Stored::Stored;
}

} // namespace

Look find(const Digest &digest, Copy &out) noexcept {
    if (!made())
        return Look::Absent;
    const uint32 in = bucket_of(digest);
    const auto now = static_cast<uint64>(pg::clock::microseconds());
    Look look = Look::Hit;
    uint64 which = 0;
    {
        const pg::Locked locked(lock_of(in), LW_SHARED);
        const uint32 number = look_up(digest, in);
        if (number == none)
            return Look::Absent;
        which = place[number].number;
        if (pg_atomic_read_u64(&hot[number].expires_at) <= now)
            look = Look::Expired;
        else if (!is_unchanged(place[number]))
            look = Look::Stale;
        else if (!copy_out(place[number], out))
            return Look::Absent;
        else
            note_use(number);
    }
    if (look == Look::Hit)
        return look;
    uint32 number = none;
    {
        const pg::Locked locked(lock_of(in));
        number = look_up(digest, in);
        if (number == none || place[number].number != which)
            return look; // somebody else has removed it, or put a new one in its place
        unlink(number);
    }
    give_back(number);
    stats::count(look == Look::Stale ? Counter::Invalidations : Counter::Expirations);
    return look;
}

Stored put(const Digest &digest, const About &about, const void *bytes, size_t size) noexcept {
    if (!made())
        return Stored::NoRoom;
    const size_t all = about.dependency_count * sizeof(Dependency) + about.table_count * sizeof(Oid) + size;
    Stored outcome = Stored::Stored;
    uint32 number = none;
    uint32 replaced = none;
    if (about.dependency_count > most_dependencies || blocks_for(all) > board->blocks ||
        size > static_cast<size_t>(pg::settings::cache::max_entry) * 1024)
        outcome = Stored::TooLarge;
    else if (forgotten(about.since))
        outcome = Stored::Forgotten;
    else if ((number = make_room(static_cast<uint32>(blocks_for(all)))) == none)
        outcome = Stored::NoRoom;
    if (number != none) {
        fill_in(number, digest, about, bytes, size);
        outcome = show(number, replaced);
        if (outcome != Stored::Stored)
            give_back(number);
        if (replaced != none)
            give_back(replaced);
    }
    switch (outcome) {
    case Stored::Stored:
        stats::count(Counter::Stores);
        break;
    case Stored::TooLarge:
        stats::refused(Refusal::TooLarge);
        break;
    case Stored::NoRoom:
        stats::refused(Refusal::NoRoom);
        break;
    case Stored::Forgotten:
        stats::refused(Refusal::Forgotten);
        break;
    case Stored::Newer:
        break;
    }
    return outcome;
}

bool forgotten(uint64 since) noexcept {
    return made() && since < pg_atomic_read_u64(&forgotten_word(MyDatabaseId));
}

} // namespace wc::cache::store

// Executions by all sessions: a fixed array of buckets of atomic words. What gets lost where two sessions come upon a
// bucket in the same instant is an execution more or less, never a lock, a wait or an error.
#include "observe/crowd.hpp"

#include "core/burst_window.hpp"
#include "observe/client.hpp"
#include "pg/hooks.hpp"

#include <cstring>

extern "C" {
#include "common/hashfn.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
}

namespace wc::observe::crowd {

namespace {

namespace window = core::burst;

// One statement of one role, application and host. Two lines of the processor's cache.
struct alignas(128) Bucket {
    pg_atomic_uint64 key;                   // a hash of what is counted; 0: nothing yet
    pg_atomic_uint64 burst;                 // the finding in the upper half, executions in the lower; 0: none
    pg_atomic_uint64 last_seen;             // of the burst
    pg_atomic_uint32 taking_back;           // sessions that have taken from the counts, and not yet from the burst
    pg_atomic_uint64 counts[window::parts]; // of the parts of the window
};

constexpr uint32 buckets = 1024; // a power of two
constexpr uint32 tries = 8;      // neighbours in which a statement may be: full, it isn't counted

struct Crowd {
    Bucket bucket[buckets];
};

Crowd *crowd = nullptr; // null: the library was not loaded at server start

Size size() {
    return sizeof(Crowd) + alignof(Crowd);
}

void start(void *memory, LWLock *, bool fresh) {
    crowd = reinterpret_cast<Crowd *>(TYPEALIGN(alignof(Crowd), memory));
    if (!fresh)
        return;
    memset(static_cast<void *>(crowd), 0, sizeof(Crowd));
    for (Bucket &bucket : crowd->bucket) {
        pg_atomic_init_u64(&bucket.key, 0);
        pg_atomic_init_u64(&bucket.burst, 0);
        pg_atomic_init_u64(&bucket.last_seen, 0);
        pg_atomic_init_u32(&bucket.taking_back, 0);
        for (auto &count : bucket.counts)
            pg_atomic_init_u64(&count, 0);
    }
}

uint64 key_of(uint64 who, const Statement &statement) noexcept {
    uint64 key = hash_combine64(who, client::host());
    key = hash_combine64(key, MyDatabaseId);
    key = hash_combine64(key, statement.query_id);
    return key != 0 ? key : 1;
}

uint32 sum(Bucket &bucket, int64 part) noexcept {
    uint32 total = 0;
    for (auto &count : bucket.counts)
        total += window::counted(pg_atomic_read_u64(&count), part);
    return total;
}

findings::UnderWay under_way_in(Bucket &bucket, uint64 burst) noexcept {
    return {static_cast<findings::Reference>(burst >> 32), static_cast<uint32>(burst),
            static_cast<TimestampTz>(pg_atomic_read_u64(&bucket.last_seen))};
}

uint64 word(findings::Reference finding, uint32 size) noexcept {
    return (static_cast<uint64>(finding) << 32) | size;
}

// Ends the burst of a bucket, if it is still that one.
void end(Bucket &bucket, uint64 burst) noexcept {
    const findings::UnderWay over = under_way_in(bucket, burst);
    if (pg_atomic_compare_exchange_u64(&bucket.burst, &burst, 0))
        findings::remember(over);
}

Bucket *find(uint64 key) noexcept {
    for (uint32 i = 0; i < tries; ++i) {
        Bucket &bucket = crowd->bucket[(key + i) & (buckets - 1)];
        if (pg_atomic_read_u64(&bucket.key) == key)
            return &bucket;
    }
    return nullptr;
}

// The bucket of a key; where it has none yet, one in which nothing was counted for a window's time. Null: all are busy.
Bucket *find_or_take(uint64 key, int64 part) noexcept {
    if (Bucket *const bucket = find(key); bucket != nullptr)
        return bucket;
    for (uint32 i = 0; i < tries; ++i) {
        Bucket &bucket = crowd->bucket[(key + i) & (buckets - 1)];
        uint64 there = pg_atomic_read_u64(&bucket.key);
        if (there != 0 && sum(bucket, part) > 0)
            continue;
        if (const uint64 burst = pg_atomic_read_u64(&bucket.burst); burst != 0)
            end(bucket, burst);
        if (pg_atomic_compare_exchange_u64(&bucket.key, &there, key) || there == key)
            return &bucket;
    }
    return nullptr;
}

// Changes a count; how is one_more or one_less. Whether it did.
bool change(Bucket &bucket, int64 part, uint64 (*how)(uint64, int64) noexcept) noexcept {
    pg_atomic_uint64 &count = bucket.counts[window::word_of(part)];
    uint64 before = pg_atomic_read_u64(&count);
    for (;;) {
        const uint64 after = how(before, part);
        if (after == before)
            return false;
        if (pg_atomic_compare_exchange_u64(&count, &before, after))
            return true;
    }
}

// One more execution of the burst that a bucket is in; false: it has come to its end meanwhile.
bool continue_burst(Bucket &bucket, uint64 burst) noexcept {
    while (burst != 0 && findings::stands(static_cast<findings::Reference>(burst >> 32)))
        if (static_cast<uint32>(burst) == UINT32_MAX ||
            pg_atomic_compare_exchange_u64(&bucket.burst, &burst, burst + 1))
            return true;
    return false;
}

// Takes a burst back; false: it is not that one any more, and `burst` what it is.
bool retract(Bucket &bucket, uint64 &burst) noexcept {
    if (!pg_atomic_compare_exchange_u64(&bucket.burst, &burst, 0))
        return false;
    findings::retract(static_cast<findings::Reference>(burst >> 32));
    return true;
}

void begin_burst(Bucket &bucket, uint64 before, const Statement &statement, uint32 limit, int64 part) noexcept {
    if (findings::is_allowed(statement.query_id))
        return;
    const findings::Reference finding = findings::begin(findings::Kind::Sessions, statement);
    uint64 burst = word(finding, sum(bucket, part));
    pg_atomic_write_u64(&bucket.last_seen, static_cast<uint64>(statement.ended_at));
    if (!pg_atomic_compare_exchange_u64(&bucket.burst, &before, burst))
        findings::retract(finding); // another session was faster
    else if (sum(bucket, part) <= limit)
        (void)retract(bucket, burst); // what made it one was taken back before it stood there
}

} // namespace

void init() {
    pg::hooks::shared_memory({"whitecross crowd", size, start});
}

void add(uint64 who, const Statement &statement, uint32 limit, int64 width) noexcept {
    const int64 part = window::part_of(statement.ended_at, width);
    Bucket *const bucket = find_or_take(key_of(who, statement), part);
    if (bucket == nullptr)
        return;
    (void)change(*bucket, part, window::one_more);
    if (sum(*bucket, part) > limit) {
        const uint64 burst = pg_atomic_read_u64(&bucket->burst);
        if (!continue_burst(*bucket, burst)) {
            begin_burst(*bucket, pg_atomic_read_u64(&bucket->burst), statement, limit, part);
            return;
        }
        const auto before = static_cast<TimestampTz>(pg_atomic_read_u64(&bucket->last_seen));
        pg_atomic_write_u64(&bucket->last_seen, static_cast<uint64>(statement.ended_at));
        if (findings::is_due(before, statement.ended_at))
            findings::remember({static_cast<findings::Reference>(burst >> 32), 0, statement.ended_at});
    } else if (pg_atomic_read_u32(&bucket->taking_back) == 0) {
        if (const uint64 burst = pg_atomic_read_u64(&bucket->burst); burst != 0)
            end(*bucket, burst);
    }
}

void take_back(uint64 who, const Statement &statement, const int64 *times, uint32 count, uint32 limit,
               int64 width) noexcept {
    Bucket *const bucket = find(key_of(who, statement));
    if (bucket == nullptr)
        return;
    // Until the burst is dealt with, nobody is to take its end for the end of one that was.
    pg_atomic_fetch_add_u32(&bucket->taking_back, 1);
    uint32 taken = 0;
    for (uint32 i = 0; i < count; ++i)
        taken += change(*bucket, window::part_of(times[i], width), window::one_less);
    uint64 burst = pg_atomic_read_u64(&bucket->burst);
    for (bool done = false; burst != 0 && !done;)
        done = static_cast<uint32>(burst) <= taken + limit
                   ? retract(*bucket, burst)
                   : pg_atomic_compare_exchange_u64(&bucket->burst, &burst, burst - taken);
    pg_atomic_fetch_sub_u32(&bucket->taking_back, 1);
}

void collect(std::vector<findings::UnderWay> &under_way) {
    for (Bucket &bucket : crowd->bucket)
        if (const uint64 burst = pg_atomic_read_u64(&bucket.burst); burst != 0)
            under_way.push_back(under_way_in(bucket, burst));
}

} // namespace wc::observe::crowd

// Counting, and the shared memory that the counts are added up in.
//
// Shared: a header, buckets, room for ordering, and a fixed number of patterns, found by a hash of their key. One lock:
// a session takes it about once a second. Where all patterns are in use, the least called ones make room, a twentieth
// at a time. Session: a small table of what was counted since it was added up last, which happens when a statement ends
// a second or more after that, when the table is full, when the hour changes, and when the session ends. So what a
// killed session takes with it is a second of its counts.
#include "observe/stats.hpp"

#include "observe/mix.hpp"
#include "observe/texts.hpp"
#include "observe/totals.hpp"
#include "pg/locked.hpp"

#include <algorithm>

extern "C" {
#include "mb/pg_wchar.h"
#include "port/pg_bitutils.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
}

namespace wc::observe::stats {

namespace {

// --- Shared memory ---

struct Header {
    LWLock *lock;
    int max;
    int used;
    int free;    // the first free pattern
    uint32 mask; // number of buckets less one
    Size stride; // of patterns
    Size text_size;
    uint64 evicted;
    uint64 resets;
    TimestampTz since;
    Hours others;
};

Header *header = nullptr;
int *buckets = nullptr;   // first pattern of each; -1: none
int *order = nullptr;     // for evictions
char *patterns = nullptr; //

int number_of_buckets() {
    return static_cast<int>(pg_nextpower2_32(static_cast<uint32>(pg::settings::query_stats_max)));
}

Size stride() {
    return MAXALIGN(sizeof(Pattern) + static_cast<Size>(pg::settings::query_text_size));
}

Size size() {
    Size all = MAXALIGN(sizeof(Header));
    all = add_size(all, MAXALIGN(mul_size(sizeof(int), static_cast<Size>(number_of_buckets()))));
    all = add_size(all, MAXALIGN(mul_size(sizeof(int), static_cast<Size>(pg::settings::query_stats_max))));
    return add_size(all, mul_size(stride(), static_cast<Size>(pg::settings::query_stats_max)));
}

Pattern &pattern(int number) {
    return *reinterpret_cast<Pattern *>(patterns + header->stride * static_cast<Size>(number));
}

char *text_memory(Pattern &entry) {
    return reinterpret_cast<char *>(&entry + 1);
}

// All patterns are free.
void clear() {
    for (uint32 i = 0; i <= header->mask; ++i)
        buckets[i] = -1;
    for (int i = 0; i < header->max; ++i)
        pattern(i).next = i + 1 < header->max ? i + 1 : -1;
    header->free = 0;
    header->used = 0;
}

void start(void *memory, LWLock *lock, bool fresh) {
    auto *place = static_cast<char *>(memory);
    header = reinterpret_cast<Header *>(place);
    place += MAXALIGN(sizeof(Header));
    buckets = reinterpret_cast<int *>(place);
    place += MAXALIGN(sizeof(int) * static_cast<Size>(number_of_buckets()));
    order = reinterpret_cast<int *>(place);
    place += MAXALIGN(sizeof(int) * static_cast<Size>(pg::settings::query_stats_max));
    patterns = place;
    if (!fresh)
        return;
    *header = {};
    header->lock = lock;
    header->max = pg::settings::query_stats_max;
    header->mask = static_cast<uint32>(number_of_buckets()) - 1;
    header->stride = stride();
    header->text_size = static_cast<Size>(pg::settings::query_text_size);
    header->since = GetCurrentTimestamp();
    clear();
}

// The postmaster has no locks; it looks only where no other process is left.
LWLock *lock() {
    return MyProc != nullptr ? header->lock : nullptr;
}

uint32 bucket_of(Oid database, Oid role, uint64 query_id) {
    return static_cast<uint32>(mix(query_id ^ (static_cast<uint64>(database) << 32 | role))) & header->mask;
}

// Takes a pattern out of its bucket. What it has counted this hour stays known.
void forget(int number) {
    Pattern &entry = pattern(number);
    int *link = &buckets[bucket_of(entry.database, entry.role, entry.query_id)];
    while (*link != number)
        link = &pattern(*link).next;
    *link = entry.next;
    header->others.add(entry.hours);
    entry.next = header->free;
    header->free = number;
    header->used--;
}

void evict() {
    for (int i = 0; i < header->max; ++i)
        order[i] = i;
    const int victims = std::max(1, header->max / 20);
    std::nth_element(order, order + victims - 1, order + header->max, [](int a, int b) noexcept {
        const Pattern &one = pattern(a);
        const Pattern &other = pattern(b);
        const uint64 calls = one.calls + one.failures;
        const uint64 other_calls = other.calls + other.failures;
        return calls != other_calls ? calls < other_calls : one.last_executed < other.last_executed;
    });
    for (int i = 0; i < victims; ++i)
        forget(order[i]);
    header->evicted += static_cast<uint64>(victims);
}

Pattern &find_or_add(Oid database, Oid role, uint64 query_id) {
    const uint32 bucket = bucket_of(database, role, query_id);
    for (int i = buckets[bucket]; i >= 0; i = pattern(i).next) {
        Pattern &entry = pattern(i);
        if (entry.query_id == query_id && entry.role == role && entry.database == database)
            return entry;
    }
    if (header->used == header->max)
        evict();
    const int number = header->free;
    Pattern &entry = pattern(number);
    header->free = entry.next;
    header->used++;
    entry = {};
    entry.database = database;
    entry.role = role;
    entry.query_id = query_id;
    entry.next = buckets[bucket];
    buckets[bucket] = number;
    return entry;
}

void set_text(Pattern &entry, std::string_view text) {
    const auto length = static_cast<int>(std::min(text.size(), header->text_size));
    entry.text_size = length < static_cast<int>(text.size()) ? pg_mbcliplen(text.data(), length, length) : length;
    entry.encoding = GetDatabaseEncoding();
    std::copy_n(text.data(), entry.text_size, text_memory(entry));
}

// --- This session ---

// What was counted of a pattern since it was added up last. Two cache lines.
struct alignas(64) Counted {
    uint64 query_id;
    Oid role;
    CommandTag tag;
    uint64 calls;
    uint64 rows;
    int64 total_ns;
    int64 min_ns;
    int64 max_ns;
    TimestampTz last_executed; // 0: this place is free
    uint64 last_plan;          // 0: none
    uint64 failures;
    TimestampTz first_executed;
    uint64 first_plan;
    uint32 plan_changes;
    bool utility;
    TimestampTz first_planned;
    TimestampTz last_plan_change;
};

static_assert(sizeof(Counted) == 128);

constexpr uint32 places = 128; // a power of two
constexpr int most_counted = 96;
constinit Counted counted[places] = {};
constinit int number_counted = 0;
constinit int64 hour = 0;           // of all that is counted
constinit TimestampTz added_up = 0; // when; by the clock of statements
constinit TimestampTz latest = 0;   // end of the last statement
constinit bool leaves_counts = false;

constexpr TimestampTz interval = USECS_PER_SEC;

void add_up(const Counted &from, std::string_view text) {
    Pattern &to = find_or_add(MyDatabaseId, from.role, from.query_id);
    to.tag = from.tag;
    to.utility = from.utility;
    if (to.since == 0)
        to.since = from.first_executed;
    to.last_executed = std::max(to.last_executed, from.last_executed);
    if (from.calls > 0) {
        to.min_ns = to.calls == 0 ? from.min_ns : std::min(to.min_ns, from.min_ns);
        to.max_ns = std::max(to.max_ns, from.max_ns);
        to.calls += from.calls;
        to.total_ns += from.total_ns;
        to.rows += from.rows;
        to.hours.add(header->others.hour, {from.calls, from.rows, from.total_ns, from.max_ns});
    }
    to.failures += from.failures;
    if (from.first_plan != 0) {
        if (to.plan_hash != 0 && to.plan_hash != from.first_plan) {
            to.plan_changes++;
            to.last_plan_change = std::max(to.last_plan_change, from.first_planned);
        }
        to.plan_changes += from.plan_changes;
        to.last_plan_change = std::max(to.last_plan_change, from.last_plan_change);
        to.plan_hash = from.last_plan;
    }
    if (to.text_size == 0 && !text.empty())
        set_text(to, text);
}

void flush_at_exit(int, Datum) {
    flush();
}

// Its place in the table; an unused one where it has none yet.
WC_HOT Counted &look_up(const Statement &statement) {
    auto place = static_cast<uint32>(mix(statement.query_id ^ statement.role));
    for (;; ++place) {
        Counted &there = counted[place & (places - 1)];
        if (there.last_executed == 0 || (there.query_id == statement.query_id && there.role == statement.role))
            return there;
    }
}

WC_HOT Counted &place_of(const Statement &statement) {
    if (Counted &there = look_up(statement); there.last_executed != 0)
        return there;
    if (number_counted == most_counted)
        flush();
    Counted &place = look_up(statement);
    number_counted++;
    place = {};
    place.utility = statement.utility;
    place.tag = statement.tag;
    place.role = statement.role;
    place.query_id = statement.query_id;
    place.first_executed = statement.started_at;
    return place;
}

} // namespace

const pg::hooks::SharedMemory block = {"whitecross query stats", size, start};

WC_HOT void count(const Statement &statement) noexcept {
    if (!leaves_counts) {
        before_shmem_exit(flush_at_exit, 0);
        leaves_counts = true;
    }
    if (const int64 now = hour_of(statement.ended_at); now != hour) {
        flush();
        hour = now;
    }
    Counted &to = place_of(statement);
    to.last_executed = latest = statement.ended_at;
    if (statement.sqlstate == 0) {
        to.min_ns = to.calls == 0 ? statement.duration_ns : std::min(to.min_ns, statement.duration_ns);
        to.max_ns = std::max(to.max_ns, statement.duration_ns);
        to.calls++;
        to.total_ns += statement.duration_ns;
        to.rows += statement.rows;
    } else {
        to.failures++;
    }
    // Without a query id it is the plan of any statement.
    if (statement.plan_hash != to.last_plan && statement.plan_hash != 0 && statement.query_id != 0) {
        if (to.first_plan == 0) {
            to.first_plan = statement.plan_hash;
            to.first_planned = statement.started_at;
        } else {
            to.plan_changes++;
            to.last_plan_change = statement.started_at;
        }
        to.last_plan = statement.plan_hash;
    }
    // In the midst of an error the process may hold other locks: then at the end of the transaction.
    if (latest - added_up >= interval && statement.sqlstate == 0)
        flush();
}

WC_HOT void transaction_ended() noexcept {
    if (latest - added_up >= interval)
        flush();
}

void flush() noexcept {
    if (number_counted == 0)
        return;
    totals::Counts all = {};
    {
        const pg::Locked locked(lock());
        header->others.roll(hour); // what comes after that hour was let go of counts in the latest that there is
        for (Counted &each : counted) {
            if (each.last_executed != 0) {
                add_up(each, texts::find(each.query_id));
                all.calls += each.calls;
                all.failures += each.failures;
                all.total_ns += static_cast<uint64>(each.total_ns);
                all.rows += each.rows;
            }
            each.last_executed = 0;
        }
    }
    totals::add(all);
    number_counted = 0;
    added_up = latest;
}

Info info() noexcept {
    return visit_all(nullptr, nullptr);
}

int reset() noexcept {
    flush();
    const pg::Locked locked(lock());
    const int number = header->used;
    for (uint32 i = 0; i <= header->mask; ++i)
        while (buckets[i] >= 0)
            forget(buckets[i]);
    header->resets++;
    header->since = GetCurrentTimestamp();
    return number;
}

Info visit_all(Visit visit, void *context) noexcept {
    const pg::Locked locked(lock(), LW_SHARED);
    if (visit != nullptr)
        for (uint32 i = 0; i <= header->mask; ++i)
            for (int j = buckets[i]; j >= 0; j = pattern(j).next)
                visit(pattern(j), context);
    return {header->used, header->max, header->evicted, header->resets, header->since, header->others};
}

} // namespace wc::observe::stats

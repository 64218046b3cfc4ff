// The windows of a session, which are its own memory, and the bursts that it is in, which are words of shared memory
// that it alone writes: so that who looks sees a burst grow, and a burst costs nobody a lock while it lasts.
#include "observe/bursts.hpp"

#include "core/burst_window.hpp"
#include "observe/crowd.hpp"
#include "observe/observe.hpp"
#include "pg/guc.hpp"
#include "pg/hooks.hpp"

#include <algorithm>
#include <cstring>

extern "C" {
#include "common/hashfn.h"
#include "port/atomics.h"
#include "storage/proc.h"
}

namespace wc::observe::bursts {

namespace {

namespace window = core::burst;
using findings::Reference;
using findings::UnderWay;

// --- Shared: the bursts that each session is in, or was in last ---

struct Live {
    pg_atomic_uint64 burst;     // the finding in the upper half, executions in the lower; 0: none
    pg_atomic_uint64 last_seen; //
};

constexpr uint32 live_of_each = 16; // bursts of one session at once that are seen growing

// A session's, on lines of the processor's cache that it shares with nobody.
struct alignas(128) Lives {
    Live live[live_of_each];
};

Lives *shared = nullptr; // null: the library was not loaded at server start

uint32 number_of_sessions() {
    return static_cast<uint32>(MaxBackends);
}

Size size() {
    return add_size(alignof(Lives), mul_size(sizeof(Lives), number_of_sessions()));
}

void start(void *memory, LWLock *, bool fresh) {
    shared = reinterpret_cast<Lives *>(TYPEALIGN(alignof(Lives), memory));
    if (!fresh)
        return;
    for (uint32 i = 0; i < number_of_sessions(); ++i)
        for (Live &live : shared[i].live) {
            pg_atomic_init_u64(&live.burst, 0);
            pg_atomic_init_u64(&live.last_seen, 0);
        }
}

// --- The session's own ---

// A pattern that it has run lately.
struct Pattern {
    uint64 query_id; // 0: none
    uint64 who;      // ran it: a number for the role and the application, both of which a session may change
    uint32 added;    // how many of its last executions, in a row, count among those of all sessions; at most the limit
    TimestampTz last;
    window::Window window;
    Reference finding; // of the burst it is in; 0: none, or one that is allowed
    uint32 size;       // executions of that burst
    uint32 told;       // how many of them stand in the table of findings, of a burst without a place of its own
    int live;          // where they are shared; -1: nowhere
    TimestampTz begun; // when the finding was made
    uint32 resets;     // as they were then
};

constexpr uint32 sets = 16; // a power of two
constexpr uint32 ways = 8;
constexpr uint32 patterns = sets * ways;
constexpr uint32 highest_threshold = 1000; // as the setting has it

Pattern pattern_table[patterns];
// Of which as many are used as the threshold says; the others never become memory.
int64 times[patterns * highest_threshold];
uint32 limit = 0; // what the tables are for: the settings of the last statement
int64 width = 0;
Lives *own = nullptr;
Pattern *live_pattern[live_of_each]; // null: the place is free

int64 *times_of(const Pattern &pattern) noexcept {
    return times + (&pattern - pattern_table) * static_cast<ptrdiff_t>(limit);
}

UnderWay under_way_in(Live &live) noexcept {
    const uint64 burst = pg_atomic_read_u64(&live.burst);
    return {static_cast<Reference>(burst >> 32), static_cast<uint32>(burst),
            static_cast<TimestampTz>(pg_atomic_read_u64(&live.last_seen))};
}

// Puts into the table of findings what a place says, and frees it.
void put_away(uint32 place) noexcept {
    Live &live = own->live[place];
    const UnderWay burst = under_way_in(live);
    if (burst.finding != 0) {
        findings::remember(burst);
        pg_atomic_write_u64(&live.burst, 0);
    }
    if (live_pattern[place] != nullptr)
        live_pattern[place]->live = -1;
    live_pattern[place] = nullptr;
}

// The words of this session. Whoever had them before has left its last bursts there.
bool take_own() noexcept {
    if (own != nullptr)
        return true;
    if (MyProc == nullptr)
        return false;
    const auto number = static_cast<uint32>(MyProc - ProcGlobal->allProcs);
    if (number >= number_of_sessions())
        return false;
    own = &shared[number];
    for (uint32 place = 0; place < live_of_each; ++place)
        put_away(place);
    return true;
}

void leave_burst(Pattern &pattern) noexcept {
    if (pattern.live >= 0)
        put_away(static_cast<uint32>(pattern.live));
    else if (pattern.finding != 0)
        findings::remember({pattern.finding, pattern.size, pattern.last});
    pattern.finding = 0;
}

// The settings have changed: what was counted by others means nothing now.
void begin_anew(uint32 new_limit, int64 new_width) noexcept {
    for (Pattern &pattern : pattern_table)
        if (pattern.query_id != 0)
            leave_burst(pattern);
    memset(static_cast<void *>(pattern_table), 0, sizeof pattern_table);
    limit = new_limit;
    width = new_width;
}

// Hashed anew only where the application has given itself another name, or another role runs the statement.
WC_HOT uint64 who_runs(const Statement &statement) noexcept {
    static char hashed_name[NAMEDATALEN] = "";
    static Oid hashed_role = InvalidOid;
    static uint64 hash = 0;
    const char *const name = application_name != nullptr ? application_name : "";
    if (statement.role != hashed_role || strncmp(name, hashed_name, NAMEDATALEN - 1) != 0) {
        strlcpy(hashed_name, name, sizeof hashed_name);
        hashed_role = statement.role;
        hash = hash_bytes_extended(reinterpret_cast<const unsigned char *>(hashed_name),
                                   static_cast<int>(strlen(hashed_name)), hashed_role);
    }
    return hash;
}

// Where a pattern has its window; with all of its set in use, in place of the one that ran longest ago.
WC_HOT Pattern &pattern_of(uint64 query_id, uint64 who) noexcept {
    Pattern *const set = pattern_table + (hash_combine64(query_id, who) & (sets - 1)) * ways;
    Pattern *oldest = set;
    for (Pattern *pattern = set; pattern < set + ways; ++pattern) {
        if (pattern->query_id == query_id && pattern->who == who)
            return *pattern;
        if (pattern->last < oldest->last)
            oldest = pattern;
    }
    if (oldest->query_id != 0)
        leave_burst(*oldest);
    *oldest = {};
    oldest->query_id = query_id;
    oldest->who = who;
    oldest->live = -1;
    return *oldest;
}

// A place for a burst to be seen growing: a free one, or that of a burst which has gone on for a window's time without
// an execution. -1: all are busy.
int place_for(const Pattern &pattern) noexcept {
    uint32 oldest = 0;
    for (uint32 place = 0; place < live_of_each; ++place) {
        if (live_pattern[place] == nullptr)
            return static_cast<int>(place);
        if (live_pattern[place]->last < live_pattern[oldest]->last)
            oldest = place;
    }
    if (pattern.last - live_pattern[oldest]->last <= width)
        return -1;
    put_away(oldest);
    return static_cast<int>(oldest);
}

// What a burst has come to: seen by whoever looks. One of so many at once that they have no place is told when it has
// grown by an eighth, and when it ends.
WC_HOT void tell(Pattern &pattern) noexcept {
    pattern.size = pattern.window.size;
    if (pattern.live >= 0) {
        Live &live = own->live[pattern.live];
        const auto before = static_cast<TimestampTz>(pg_atomic_read_u64(&live.last_seen));
        pg_atomic_write_u64(&live.last_seen, static_cast<uint64>(pattern.last));
        pg_atomic_write_u64(&live.burst, (static_cast<uint64>(pattern.finding) << 32) | pattern.size);
        if (findings::is_due(before, pattern.last))
            findings::remember({pattern.finding, pattern.size, pattern.last});
    } else if (pattern.size - pattern.told > pattern.told / 8) {
        findings::remember({pattern.finding, pattern.size, pattern.last});
        pattern.told = pattern.size;
    }
}

void begin_burst(Pattern &pattern, const Statement &statement) noexcept {
    leave_burst(pattern);
    if (findings::is_allowed(statement.query_id) || !take_own())
        return;
    pattern.resets = findings::resets();
    pattern.begun = statement.ended_at;
    pattern.finding = findings::begin(findings::Kind::Session, statement);
    pattern.told = 0;
    pattern.live = place_for(pattern);
    if (pattern.live >= 0)
        live_pattern[pattern.live] = &pattern;
    tell(pattern);
}

WC_HOT void continue_burst(Pattern &pattern, const Statement &statement) noexcept {
    if (pattern.finding == 0)
        return; // allowed
    if (findings::stands(pattern.finding)) {
        tell(pattern);
    } else if (pattern.resets != findings::resets()) {
        pattern.window.size = limit + 1; // from here on it is a new one
        begin_burst(pattern, statement);
    } else if (pattern.last - pattern.begun > USECS_PER_SEC) {
        // One that had to make room for others comes back, but not with each execution: with more of them than there is
        // room for, sessions would do nothing else.
        begin_burst(pattern, statement);
    }
}

// Takes back what the session has added to the executions of all sessions: those before the last one, back to `oldest`,
// which has just left the ring.
void take_back(Pattern &pattern, const Statement &statement, int64 oldest) noexcept {
    static int64 added[highest_threshold];
    uint32 count = 0;
    for (uint32 back = 1; back < limit && count < pattern.added; ++back)
        added[count++] = window::time_before(pattern.window, times_of(pattern), limit, back);
    if (count < pattern.added)
        added[count++] = oldest;
    if (count > 0)
        crowd::take_back(pattern.who, statement, added, count, limit, width);
    pattern.added = 0;
}

} // namespace

void init() {
    findings::init();
    crowd::init();
    pg::hooks::shared_memory({"whitecross bursts", size, start});
}

WC_HOT void note(const Statement &statement) noexcept {
    const int threshold = pg::settings::n_plus_one_threshold;
    if (threshold == 0 || statement.utility || !statement.top_level || statement.query_id == 0 || shared == nullptr)
        return;
    const int64 window_width = int64{pg::settings::n_plus_one_window} * 1000;
    if (static_cast<uint32>(threshold) != limit || window_width != width)
        begin_anew(static_cast<uint32>(threshold), window_width);
    Pattern &pattern = pattern_of(statement.query_id, who_runs(statement));
    const int64 oldest = times_of(pattern)[pattern.window.next];
    const window::Step step = window::count(pattern.window, times_of(pattern), limit, width, statement.ended_at);
    if (step == window::Step::Outside)
        leave_burst(pattern);
    pattern.last = statement.ended_at;
    switch (step) {
    case window::Step::Outside:
        crowd::add(pattern.who, statement, limit, width);
        pattern.added = std::min(pattern.added + 1, limit);
        break;
    case window::Step::Begins:
        take_back(pattern, statement, oldest);
        begin_burst(pattern, statement);
        break;
    case window::Step::Continues:
        continue_burst(pattern, statement);
        break;
    }
}

std::vector<findings::Finding> list() {
    require_preloaded();
    std::vector<UnderWay> under_way;
    for (uint32 i = 0; i < number_of_sessions(); ++i)
        for (Live &live : shared[i].live)
            if (const UnderWay burst = under_way_in(live); burst.finding != 0)
                under_way.push_back(burst);
    crowd::collect(under_way);
    return findings::list(under_way);
}

int reset() {
    return findings::reset();
}

} // namespace wc::observe::bursts

// Statements of this session, from their start to their end.
//
// What is known of a query that has started and not ended stands in one of a fixed number of slots: queries nest, and
// portals are read by turns. A slot is given up where its query ends, fails, or goes with its (sub)transaction. Two
// readings of a clock for each query, and no memory but this.
#include "observe/tracker.hpp"

#include "observe/bursts.hpp"
#include "observe/lexer.hpp"
#include "observe/plan_hash.hpp"
#include "observe/slow.hpp"
#include "observe/statement.hpp"
#include "observe/stats.hpp"
#include "observe/texts.hpp"
#include "pg/compat.hpp"
#include "pg/guc.hpp"
#include "pg/hooks.hpp"
#include "pg/statement_hooks.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>

extern "C" {
#include "access/parallel.h"
#include "common/hashfn.h"
#include "executor/instrument.h"
#include "tcop/utility.h"
}

namespace wc::observe::tracker {

namespace {

// A reading of the clock and of what this process has done so far.
struct Reading {
    int64 ns;
    int64 hit;
    int64 read;
    int64 temp;
};

WC_HOT Reading take_reading() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return {now.tv_sec * INT64CONST(1000000000) + now.tv_nsec, pgBufferUsage.shared_blks_hit,
            pgBufferUsage.shared_blks_read, pgBufferUsage.temp_blks_read + pgBufferUsage.temp_blks_written};
}

// The time of day at a reading, which may be an old one. The two clocks are compared once a second, which is as long as
// a step of the time of day goes unnoticed.
WC_HOT TimestampTz time_of_day(int64 ns) {
    static int64 compared_at = 0;
    static TimestampTz difference = 0;
    if (compared_at == 0 || ns - compared_at > 1000000000) {
        timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        compared_at = now.tv_sec * INT64CONST(1000000000) + now.tv_nsec;
        difference = GetCurrentTimestamp() - compared_at / 1000;
    }
    return ns / 1000 + difference;
}

struct Slot {
    QueryDesc *query;
    SubTransactionId subtransaction;
    Oid role;
    bool top_level;
    bool has_run;
    bool running;
    Reading begun;    // the last time
    int64 started_ns; // the first time
    int64 ended_ns;   // the last time
    Reading used;     // in all
    uint64 rows;
};

constinit Slot slots[256] = {}; // in the order in which they started
constinit int used_slots = 0;

WC_HOT Slot *find(const QueryDesc *query) {
    for (int i = used_slots - 1; i >= 0; --i)
        if (slots[i].query == query)
            return &slots[i];
    return nullptr;
}

WC_HOT void give_up(Slot *slot) {
    used_slots--;
    std::move(slot + 1, slots + used_slots + 1, slot);
}

bool is_tracked() {
    return pg::settings::track_queries && (pg::hooks::nesting() == 0 || pg::settings::track_nested) &&
           !IsParallelWorker();
}

bool is_top_level() {
    return pg::hooks::nesting() == 0 && MyBackendType == B_BACKEND;
}

// CreateCommandTag() has to look through more.
CommandTag tag_of(PlannedStmt *planned) {
    if (planned->commandType == CMD_SELECT && planned->rowMarks == NIL && planned->utilityStmt == nullptr)
        return CMDTAG_SELECT;
    return CreateCommandTag(reinterpret_cast<Node *>(planned));
}

WC_HOT void tell(const Statement &statement) {
    stats::count(statement);
    slow::note(statement);
    bursts::note(statement);
}

WC_HOT void tell(const Slot &slot, int sqlstate) {
    PlannedStmt *planned = slot.query->plannedstmt;
    Statement statement;
    statement.query_id = planned->queryId;
    statement.role = slot.role;
    statement.tag = tag_of(planned);
    statement.top_level = slot.top_level;
    statement.started_at = time_of_day(slot.started_ns);
    statement.ended_at = statement.started_at + (slot.ended_ns - slot.started_ns) / 1000;
    statement.duration_ns = slot.used.ns;
    statement.rows = slot.rows;
    statement.plan_hash = plan_hash(planned);
    statement.query = slot.query;
    statement.blocks_hit = slot.used.hit;
    statement.blocks_read = slot.used.read;
    statement.temp_blocks = slot.used.temp;
    statement.sqlstate = sqlstate;
    tell(statement);
}

WC_HOT void begin(Slot &slot) {
    slot.begun = take_reading();
    slot.running = true;
    if (!slot.has_run)
        slot.started_ns = slot.begun.ns;
    slot.has_run = true;
}

WC_HOT void pause(Slot &slot) {
    if (!slot.running)
        return;
    const Reading now = take_reading();
    slot.running = false;
    slot.ended_ns = now.ns;
    slot.used.ns += now.ns - slot.begun.ns;
    slot.used.hit += now.hit - slot.begun.hit;
    slot.used.read += now.read - slot.begun.read;
    slot.used.temp += now.temp - slot.begun.temp;
}

void parsed(const Query *query, const char *source) noexcept {
    if (is_tracked())
        texts::remember(query, source);
}

// For a session with so many portals open: the oldest is told of as if it ended here, so that it is counted. False
// where all are running, each within the one before: a recursion that deep is not followed further.
bool make_room() {
    Slot *const oldest =
        std::find_if(std::begin(slots), std::end(slots), [](const Slot &slot) { return !slot.running; });
    if (oldest == std::end(slots))
        return false;
    if (oldest->has_run)
        tell(*oldest, 0);
    give_up(oldest);
    return true;
}

WC_HOT void started(QueryDesc *query) noexcept {
    if (!is_tracked())
        return;
    if (used_slots == std::ssize(slots) && !make_room())
        return;
    Slot &slot = slots[used_slots++];
    slot = {};
    slot.query = query;
    slot.subtransaction = GetCurrentSubTransactionId();
    slot.role = GetUserId();
    slot.top_level = is_top_level();
}

WC_HOT void running(QueryDesc *query) noexcept {
    if (Slot *slot = find(query); slot != nullptr)
        begin(*slot);
}

WC_HOT void ran(QueryDesc *query) noexcept {
    if (Slot *slot = find(query); slot != nullptr) {
        pause(*slot);
        slot->rows += query->estate->es_processed;
    }
}

void finished(QueryDesc *query) noexcept {
    if (Slot *slot = find(query); slot != nullptr)
        pause(*slot);
}

// One that was started and never run, as a portal that nobody reads, is no execution.
WC_HOT void ended(QueryDesc *query) noexcept {
    Slot *slot = find(query);
    if (slot == nullptr)
        return;
    if (slot->has_run)
        tell(*slot, 0);
    give_up(slot);
}

void failed(QueryDesc *query, int sqlstate) noexcept {
    Slot *slot = find(query);
    if (slot == nullptr)
        return;
    if (!slot->has_run) // it failed when it was started
        begin(*slot);
    pause(*slot);
    tell(*slot, sqlstate);
    give_up(slot);
}

// What is remembered of a utility statement while it runs.
struct Begun {
    Reading reading;
    Oid role;
    CommandTag tag;
    bool tracked;
    bool top_level;
};

using Notes = decltype(pg::hooks::UtilityStatement::notes);
static_assert(sizeof(Begun) <= sizeof(Notes) && std::is_trivially_copyable_v<Begun>);

// The server's own query id of a utility statement is made of its text, values and all.
uint64 pattern_of(CommandTag tag) {
    const char *const name = GetCommandTagName(tag);
    const uint64 hash =
        hash_bytes_extended(reinterpret_cast<const unsigned char *>(name), static_cast<int>(std::strlen(name)), 0);
    return hash != 0 ? hash : 1;
}

void utility_begins(pg::hooks::UtilityStatement &statement) noexcept {
    Begun begun = {};
    begun.tracked = is_tracked();
    if (begun.tracked) {
        begun.reading = take_reading();
        begun.role = GetUserId();
        begun.tag = CreateCommandTag(statement.statement->utilityStmt);
        begun.top_level = is_top_level();
    }
    std::memcpy(statement.notes.data(), &begun, sizeof begun);
}

void utility_ended(pg::hooks::UtilityStatement &ended) noexcept {
    Begun begun;
    std::memcpy(&begun, ended.notes.data(), sizeof begun);
    if (!begun.tracked)
        return;
    const Reading now = take_reading();
    Statement statement;
    statement.query_id = pattern_of(begun.tag);
    statement.role = begun.role;
    statement.tag = begun.tag;
    statement.utility = true;
    statement.top_level = begun.top_level;
    statement.started_at = time_of_day(begun.reading.ns);
    statement.ended_at = statement.started_at + (now.ns - begun.reading.ns) / 1000;
    statement.duration_ns = now.ns - begun.reading.ns;
    statement.rows = ended.rows;
    statement.blocks_hit = now.hit - begun.reading.hit;
    statement.blocks_read = now.read - begun.reading.read;
    statement.temp_blocks = now.temp - begun.reading.temp;
    statement.sqlstate = ended.sqlstate;
    tell(statement);
}

// The portals that were made in it go with it, or belong to the one around it from now on.
void subtransaction_ended(SubTransactionId which, SubTransactionId parent, bool aborted) noexcept {
    for (int i = used_slots - 1; i >= 0; --i) {
        if (slots[i].subtransaction != which)
            continue;
        if (aborted)
            give_up(&slots[i]);
        else
            slots[i].subtransaction = parent;
    }
}

WC_HOT void transaction_ended(XactEvent) {
    used_slots = 0;
    stats::transaction_ended();
}

} // namespace

void init() {
    pg::compat::enable_query_ids();
    (void)lexer::scan("", 0, true); // has it learn the keywords here, once, and not in each session
    pg::hooks::shared_memory(stats::block);
    pg::hooks::follow_statements({parsed, started, running, ran, running, finished, ended, failed, utility_begins,
                                  utility_ended, subtransaction_ended});
    pg::hooks::at_transaction_end(transaction_ended);
}

} // namespace wc::observe::tracker

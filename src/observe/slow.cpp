// The ring of slow statements.
//
// Two regimes: note(), and what it calls, is plain server code; the rest is C++. The lock is a leaf: nothing is raised,
// allocated or waited for under it.
#include "observe/slow.hpp"

#include "observe/observe.hpp"
#include "observe/texts.hpp"
#include "observe/totals.hpp"
#include "pg/guc.hpp"
#include "pg/hooks.hpp"
#include "pg/locked.hpp"

#include <algorithm>
#include <cstring>

extern "C" {
#include "mb/pg_wchar.h"
#include "nodes/params.h"
#include "nodes/plannodes.h"
#include "storage/lwlock.h"
}

namespace wc::observe::slow {

namespace {

struct Slot {
    Facts facts;
    int text_length;
    char text[FLEXIBLE_ARRAY_MEMBER]; // of text_size bytes, without a terminator
};

struct Ring {
    LWLock *lock;
    int entries;
    int text_size;
    uint64 recorded; // since the last reset: the next one goes to slot recorded % entries
};

Ring *ring = nullptr; // null: the library was not loaded at server start

Size slot_size() {
    return MAXALIGN(offsetof(Slot, text) + static_cast<Size>(pg::settings::query_text_size));
}

Size size() {
    return add_size(MAXALIGN(sizeof(Ring)), mul_size(slot_size(), static_cast<Size>(pg::settings::slow_query_entries)));
}

void start(void *memory, LWLock *lock, bool fresh) {
    ring = static_cast<Ring *>(memory);
    if (!fresh)
        return;
    memset(memory, 0, size());
    ring->lock = lock;
    ring->entries = pg::settings::slow_query_entries;
    ring->text_size = pg::settings::query_text_size;
}

Slot *slot(uint64 number) noexcept {
    char *const first = reinterpret_cast<char *>(ring) + MAXALIGN(sizeof(Ring));
    return reinterpret_cast<Slot *>(first + slot_size() * static_cast<Size>(number % ring->entries));
}

// The relations that a plan reads or writes, each once; the first ones where there are many.
void take_relations(const QueryDesc *query, Facts &facts) noexcept {
    if (query == nullptr || query->plannedstmt == nullptr) {
        facts.relation_count = -1;
        return;
    }
    // Not from relationOids, which has each constant of type oid, too.
    const ListCell *cell = nullptr;
    foreach (cell, query->plannedstmt->rtable) {
        const auto *entry = static_cast<const RangeTblEntry *>(lfirst(cell));
        const bool relation =
            entry->rtekind == RTE_RELATION || (entry->rtekind == RTE_SUBQUERY && OidIsValid(entry->relid));
        const Oid *const end = facts.relations + facts.relation_count;
        if (relation && facts.relation_count < Facts::most &&
            std::find(static_cast<const Oid *>(facts.relations), end, entry->relid) == end)
            facts.relations[facts.relation_count++] = entry->relid;
    }
}

void take_parameters(const QueryDesc *query, Facts &facts) noexcept {
    const ParamListInfo parameters = query != nullptr ? query->params : nullptr;
    if (parameters == nullptr)
        return;
    // PL/pgSQL counts its variables, used or not, and has no list of their types.
    if (parameters->paramFetch != nullptr) {
        facts.parameters = -1;
        return;
    }
    facts.parameters = parameters->numParams;
    for (int i = 0; i < std::min(parameters->numParams, Facts::most); ++i)
        facts.parameter_types[facts.type_count++] = parameters->params[i].ptype;
}

void take(const Statement &statement, Facts &facts) noexcept {
    facts.started_at = statement.started_at;
    facts.duration_ns = statement.duration_ns;
    facts.query_id = statement.query_id;
    facts.plan_hash = statement.plan_hash;
    facts.rows = statement.rows;
    facts.blocks_hit = statement.blocks_hit;
    facts.blocks_read = statement.blocks_read;
    facts.temp_blocks = statement.temp_blocks;
    facts.database = MyDatabaseId;
    facts.role = statement.role;
    facts.tag = statement.tag;
    facts.sqlstate = statement.sqlstate;
    facts.place = client::place();
    facts.encoding = GetDatabaseEncoding();
    take_relations(statement.query, facts);
    take_parameters(statement.query, facts);
    strlcpy(facts.application_name, application_name != nullptr ? application_name : "", NAMEDATALEN);
}

// Whether a message can be put together without an error for want of memory, which would take the place of the one that
// is on its way. What is given back here is there for the next who asks.
bool memory_for_a_message() noexcept {
    constexpr Size enough = 65536;
    void *const block = MemoryContextAllocExtended(ErrorContext, enough, MCXT_ALLOC_NO_OOM);
    if (block == nullptr)
        return false;
    pfree(block);
    return true;
}

// One line. Nothing of the statement but its normalised text is in it, and neither what the session calls its query nor
// what functions have to say of where they are (they tell of values) is added.
void log(const Facts &facts, std::string_view text) noexcept {
    if (!memory_for_a_message())
        return;
    constexpr int longest = 1000; // bytes of text: the rest is in wc_slow_queries
    static char line[longest + 1];
    int length = static_cast<int>(std::min<size_t>(text.size(), longest));
    length = pg_mbcliplen(text.data(), static_cast<int>(text.size()), length);
    for (int i = 0; i < length; ++i)
        line[i] = text[i] == '\n' || text[i] == '\r' || text[i] == '\t' ? ' ' : text[i];
    line[length] = '\0';
    char outcome[32] = "completed";
    if (facts.sqlstate != 0)
        snprintf(outcome, sizeof outcome, "%s with %s",
                 facts.sqlstate == ERRCODE_QUERY_CANCELED ? "cancelled" : "failed", unpack_sql_state(facts.sqlstate));
    // A message ends with a look whether the statement is to be cancelled: not here.
    HOLD_INTERRUPTS();
    ErrorContextCallback *const callbacks = error_context_stack;
    error_context_stack = nullptr;
    ereport(LOG_SERVER_ONLY,
            (errmsg_internal("slow query: %.3f ms, %s, query id " INT64_FORMAT ", " UINT64_FORMAT " rows, %s%s%s",
                             static_cast<double>(facts.duration_ns) / 1e6, GetCommandTagName(facts.tag),
                             static_cast<int64>(facts.query_id), facts.rows, outcome, length > 0 ? ": " : "", line),
             errhidestmt(true), errhidecontext(true)));
    error_context_stack = callbacks;
    RESUME_INTERRUPTS();
}

// Apart from note(), which every statement pays for.
[[gnu::noinline]] void record(const Statement &statement) {
    Facts facts;
    memset(&facts, 0, sizeof facts); // what lies between its members goes to shared memory too
    take(statement, facts);
    const std::string_view text = statement.utility ? std::string_view() : texts::find(statement.query_id);
    const int length = static_cast<int>(std::min<size_t>(text.size(), ring->text_size));
    {
        const pg::Locked locked(ring->lock);
        Slot *const place = slot(ring->recorded++);
        place->facts = facts;
        place->text_length = length;
        if (length > 0)
            memcpy(place->text, text.data(), length);
    }
    totals::add_slow();
    if (pg::settings::log_slow_queries)
        log(facts, text);
}

} // namespace

void init() {
    pg::hooks::shared_memory({"whitecross slow queries", size, start});
}

WC_HOT void note(const Statement &statement) noexcept {
    const int threshold = pg::settings::slow_query_threshold;
    if (threshold >= 0 && ring != nullptr && statement.duration_ns >= int64{threshold} * 1000000)
        record(statement);
}

std::vector<Entry> list() {
    require_preloaded();
    const Viewer viewer;
    // All of it is copied under the lock, which may not wait for memory.
    std::vector<char> copy(slot_size() * static_cast<size_t>(ring->entries));
    uint64 recorded;
    {
        const pg::Locked lock(ring->lock, LW_SHARED);
        recorded = ring->recorded;
        memcpy(copy.data(), slot(0), copy.size());
    }
    std::vector<Entry> entries;
    for (uint64 back = 0; back < std::min<uint64>(recorded, ring->entries); ++back) {
        const size_t place = (recorded - 1 - back) % ring->entries;
        const Slot *const from = reinterpret_cast<const Slot *>(copy.data() + slot_size() * place);
        if (viewer.sees(from->facts.role))
            entries.push_back({from->facts, std::string(from->text, from->text_length)});
    }
    return entries;
}

int reset() {
    require_preloaded();
    const pg::Locked lock(ring->lock);
    const int there = static_cast<int>(std::min<uint64>(ring->recorded, ring->entries));
    ring->recorded = 0;
    return there;
}

} // namespace wc::observe::slow

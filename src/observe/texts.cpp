// Texts of this session's statements.
#include "observe/texts.hpp"

#include "observe/normalise.hpp"
#include "observe/statement_range.hpp"
#include "pg/guc.hpp"

extern "C" {
#include "parser/parser.h"
}

namespace wc::observe::texts {

namespace {

constexpr int most_texts = 512;
constexpr Size most_bytes = Size{512} * 1024; // in all, beside the one that came last
constexpr int scanned_for_each_byte = 16;     // of text: a statement that is longer is read so far
constexpr int buckets = 1024;
constexpr int16 none = -1;

struct Entry {
    uint64 query_id; // 0: free
    char *text;      // null: there is none
    int length;
    int16 next; // of the same bucket
    bool used;  // asked for since the hand of the clock last passed
};

// All zero until the first statement.
struct Store {
    MemoryContext memory;
    int16 first[buckets];
    Entry entries[most_texts];
    int hand;
    Size bytes;
};
Store *store = nullptr;

int bucket_of(uint64 query_id) {
    return static_cast<int>(query_id % buckets);
}

Entry *look_up(uint64 query_id) {
    if (store == nullptr || query_id == 0)
        return nullptr;
    for (int16 i = store->first[bucket_of(query_id)]; i != none; i = store->entries[i].next)
        if (store->entries[i].query_id == query_id)
            return &store->entries[i];
    return nullptr;
}

// Raises for want of memory, as what follows does.
void make_store() {
    if (store != nullptr)
        return;
    MemoryContext memory = AllocSetContextCreate(TopMemoryContext, "whitecross query texts", ALLOCSET_DEFAULT_SIZES);
    auto *made =
        static_cast<Store *>(MemoryContextAllocExtended(memory, sizeof(Store), MCXT_ALLOC_NO_OOM | MCXT_ALLOC_ZERO));
    if (made == nullptr) {
        MemoryContextDelete(memory);
        ereport(ERROR, errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"));
    }
    made->memory = memory;
    for (int16 &each : made->first)
        each = none;
    store = made;
}

void release(Entry &entry) {
    const auto self = static_cast<int16>(&entry - store->entries);
    int16 *link = &store->first[bucket_of(entry.query_id)];
    while (*link != self)
        link = &store->entries[*link].next;
    *link = entry.next;
    store->bytes -= static_cast<Size>(entry.length);
    if (entry.text != nullptr)
        pfree(entry.text);
    entry = {};
}

// Moves the hand of the clock to an entry that may go, or is free.
Entry &next_to_go() {
    for (;;) {
        Entry &entry = store->entries[store->hand];
        store->hand = (store->hand + 1) % most_texts;
        if (!entry.used)
            return entry;
        entry.used = false;
    }
}

void keep(uint64 query_id, normalise::Text text) {
    make_store();
    // What can raise comes first: an entry is whole or isn't there.
    char *kept = nullptr;
    if (text.length > 0) {
        kept = static_cast<char *>(MemoryContextAlloc(store->memory, static_cast<Size>(text.length)));
        memcpy(kept, text.bytes, static_cast<Size>(text.length));
    }
    while (store->bytes > 0 && store->bytes + static_cast<Size>(text.length) > most_bytes) {
        Entry &old = next_to_go();
        if (old.query_id != 0)
            release(old);
    }
    Entry &entry = next_to_go();
    if (entry.query_id != 0)
        release(entry);
    const int bucket = bucket_of(query_id);
    entry = {query_id, kept, text.length, store->first[bucket], true};
    store->first[bucket] = static_cast<int16>(&entry - store->entries);
    store->bytes += static_cast<Size>(text.length);
}

// In memory that is let go when it is done.
void read(const Query *query, const char *source) {
    const int limit = pg::settings::query_text_size;
    const Slice slice = slice_of(query, source, scanned_for_each_byte * limit);
    const lexer::Tokens tokens = lexer::scan_safely(slice.text, slice.length, standard_conforming_strings, slice.cut);
    normalise::Text text = {nullptr, 0};
    if (tokens.complete || slice.cut)
        text = normalise::write(tokens, range_of(query, slice, tokens), limit);
    keep(query->queryId, text);
}

} // namespace

void remember(const Query *query, const char *source) noexcept {
    if (query->commandType == CMD_UTILITY || query->queryId == 0 || source == nullptr)
        return;
    if (Entry *entry = look_up(query->queryId); entry != nullptr) {
        entry->used = true;
        return;
    }
    const MemoryContext outer = CurrentMemoryContext;
    const volatile uint32 interrupts = InterruptHoldoffCount;
    const volatile uint32 cancels = QueryCancelHoldoffCount;
    MemoryContext volatile work = nullptr;
    PG_TRY();
    {
        work = AllocSetContextCreate(outer, "whitecross query text", ALLOCSET_DEFAULT_SIZES);
        MemoryContextSwitchTo(work);
        read(query, source);
    }
    PG_CATCH();
    {
        // There was no memory. Nothing but memory has been touched, so there is nothing to roll back, and the statement
        // goes on: its command tag will stand for it.
        MemoryContextSwitchTo(outer);
        FlushErrorState();
        InterruptHoldoffCount = interrupts;
        QueryCancelHoldoffCount = cancels;
    }
    PG_END_TRY();
    MemoryContextSwitchTo(outer);
    if (work != nullptr)
        MemoryContextDelete(work);
}

std::string_view find(uint64 query_id) noexcept {
    Entry *entry = look_up(query_id);
    if (entry == nullptr)
        return {};
    entry->used = true;
    return {entry->text, static_cast<Size>(entry->length)};
}

} // namespace wc::observe::texts

// What a session remembers of texts that it has analysed.
#include "cache/memo.hpp"

#include "cache/clock_words.hpp"
#include "cache/settings_seen.hpp"

extern "C" {
#include "common/hashfn.h"
#include "utils/inval.h"
}

namespace wc::cache::memo {

namespace {

// Of this session; hashes apart, so that a search reads little memory.
uint64 hashes[most_remembered];
Entry *entries[most_remembered];
int remembered_entries = 0;
size_t remembered_bytes = 0;
uint64 uses = 0;

uint64 hash_of(std::string_view bytes, uint64 seed) {
    return hash_bytes_extended(reinterpret_cast<const unsigned char *>(bytes.data()), static_cast<int>(bytes.size()),
                               seed);
}

void forget(int place) noexcept {
    Entry *const entry = entries[place];
    const int last = --remembered_entries;
    entries[place] = entries[last];
    hashes[place] = hashes[last];
    entry->remembered = false;
    remembered_bytes -= entry->bytes;
    if (entry->users == 0)
        delete entry;
}

// Plain server code: called when the server throws away what it has analysed.
void note_change(void *entry) {
    static_cast<Entry *>(entry)->current = false;
}

bool names_hold(const Entry &entry) noexcept {
    return generations::unchanged(entry.names.data(), entry.names.size());
}

Entry *find(uint64 hash, std::string_view text, int count, Oid role, const std::string &settings) {
    for (int i = 0; i < remembered_entries; ++i) {
        if (hashes[i] != hash)
            continue;
        Entry *const entry = entries[i];
        if (entry->text != text || entry->count != count || entry->role != role || entry->settings != settings)
            continue;
        if (names_hold(*entry))
            return entry;
        forget(i);
        return nullptr;
    }
    return nullptr;
}

void remember(Entry *entry, uint64 hash) noexcept {
    if (entry->bytes > largest_entry)
        return;
    while (remembered_entries == most_remembered || remembered_bytes + entry->bytes > most_bytes) {
        int oldest = -1;
        for (int i = 0; i < remembered_entries; ++i)
            if (entries[i]->users == 0 && (oldest < 0 || entries[i]->used < entries[oldest]->used))
                oldest = i;
        if (oldest < 0)
            return; // so many calls within each other
        forget(oldest);
    }
    entries[remembered_entries] = entry;
    hashes[remembered_entries++] = hash;
    entry->remembered = true;
    remembered_bytes += entry->bytes;
}

void ready_parameters(Entry &entry) {
    entry.memory = pg::call(
        [] { return AllocSetContextCreate(TopMemoryContext, "whitecross question parameters", ALLOCSET_SMALL_SIZES); });
    const MemoryContext memory = entry.memory;
    const CachedPlanSource *const source = entry.source;
    entry.parameters = pg::call([=] {
        auto *parameters = static_cast<Parameter *>(
            MemoryContextAllocZero(memory, sizeof(Parameter) * (static_cast<Size>(source->num_params) + 1)));
        for (int i = 0; i < source->num_params; ++i) {
            Parameter &one = parameters[i];
            one.type = source->param_types[i];
            Oid function;
            getTypeInputInfo(one.type, &function, &one.io_parameter);
            get_typlenbyval(one.type, &one.length, &one.by_value);
            fmgr_info_cxt(function, &one.input, memory);
        }
        return parameters;
    });
}

// Notes what the names mean, as of a moment before they were looked up; false where that may have changed since.
bool note_names(Entry &entry, uint64 since) noexcept {
    return generations::note(generations::names_cell(MyDatabaseId), since, entry.names[0]) &&
           generations::note(generations::names_cell(InvalidOid), since, entry.names[1]) &&
           generations::note(generations::everything_cell(), since, entry.names[2]);
}

std::unique_ptr<Entry> make(std::string_view text, int count) {
    pg::call([] { AcceptInvalidationMessages(); });
    auto entry = std::make_unique<Entry>();
    entry->text = text;
    entry->count = count;
    entry->plan = prepare(entry->text.c_str(), count);
    struct Looked {
        CachedPlanSource *source;
        bool tells_time;
    };
    const SPIPlanPtr plan = entry->plan;
    const Looked looked = pg::call([=] {
        auto *source = static_cast<CachedPlanSource *>(linitial(SPI_plan_get_plan_sources(plan)));
        return Looked{source, tells_time_by_word(source->raw_parse_tree)};
    });
    entry->source = looked.source;
    entry->rememberable = !looked.tells_time;
    ready_parameters(*entry);
    return entry;
}

} // namespace

Entry::~Entry() {
    if (plan != nullptr)
        SPI_freeplan(plan);
    if (memory != nullptr)
        MemoryContextDelete(memory);
}

void refresh(Entry &entry) {
    CachedPlanSource *const source = entry.source;
    pg::call([=] {
        AcceptInvalidationMessages();
        (void)CachedPlanGetTargetList(source, nullptr);
    });
    if (entry.current)
        return;
    entry.facts = facts_of(source);
    if (!entry.current && source->query_context != nullptr) {
        entry.changed.func = note_change;
        entry.changed.arg = &entry;
        MemoryContextRegisterResetCallback(source->query_context, &entry.changed);
        entry.current = true;
    }
}

Entry *take(std::string_view text, int count, bool remembering) {
    if (!remembering) {
        auto entry = make(text, count);
        refresh(*entry);
        entry->users = 1;
        return entry.release();
    }
    const Oid role = GetUserId();
    std::string settings;
    append_settings(settings);
    const uint64 hash = hash_of(text, hash_of(settings, role + static_cast<uint64>(count)));
    Entry *found = find(hash, text, count, role, settings);
    std::unique_ptr<Entry> made;
    if (found == nullptr) {
        const uint64 since = generations::moment();
        made = make(text, count);
        made->role = role;
        made->settings = std::move(settings);
        found = made.get();
        found->bytes = sizeof(Entry) + text.size() + MemoryContextMemAllocated(found->source->context, true);
        if (found->rememberable && note_names(*found, since))
            remember(made.release(), hash);
    }
    ++found->users; // what refreshing runs could ask for other texts
    try {
        refresh(*found);
    } catch (...) {
        --found->users;
        if (made == nullptr && !found->remembered && found->users == 0)
            delete found;
        throw;
    }
    found->used = ++uses;
    (void)made.release();
    return found;
}

void release(Entry *entry) noexcept {
    if (--entry->users == 0 && !entry->remembered)
        delete entry;
}

} // namespace wc::cache::memo

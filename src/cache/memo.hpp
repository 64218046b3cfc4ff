// What a session remembers of texts that it has analysed: a bounded number and size, the least lately used goes. What
// is remembered counts only as long as no name could mean something else.
#pragma once

#include "cache/analysis.hpp"
#include "cache/generations.hpp"

#include <string_view>

namespace wc::cache::memo {

constexpr int most_remembered = 128;
constexpr size_t most_bytes = 16 << 20;   // of all that it remembers
constexpr size_t largest_entry = 2 << 20; // what is larger isn't remembered

// A parameter, with the input function of its type ready.
struct Parameter {
    Oid type;
    Oid io_parameter;
    int16 length;
    bool by_value;
    FmgrInfo input;
};

struct Entry {
    // What it is found by.
    std::string text;
    int count = 0; // of values
    Oid role = InvalidOid;
    std::string settings;

    bool rememberable = true; // nothing in it is what it is only now
    SPIPlanPtr plan = nullptr;
    CachedPlanSource *source = nullptr;
    MemoryContext memory = nullptr; // of the parameters
    Parameter *parameters = nullptr;
    std::array<Dependency, 3> names = {}; // what the names in the text mean

    std::shared_ptr<const Facts> facts;
    bool current = false; // the facts are of what the source has now
    MemoryContextCallback changed = {};

    size_t bytes = 0; // about what it takes
    bool remembered = false;
    int users = 0;
    uint64 used = 0;

    Entry() = default;
    Entry(const Entry &) = delete;
    Entry &operator=(const Entry &) = delete;
    ~Entry();
};

// An entry for a text, with its tables locked as planning does and its facts current; used by one more until release().
// Throws Error.
Entry *take(std::string_view text, int count, bool remember);

// Accepts invalidations, locks the tables, and looks again at what has changed. Throws Error.
void refresh(Entry &entry);

void release(Entry *entry) noexcept;

} // namespace wc::cache::memo

// The second tier of the result cache: a Redis, asked where the first tier hasn't an entry, and given what was stored
// there.
//
// Nothing rests on it. What comes back counts only if it was sealed by this server since its start for that very name,
// its time isn't over, and nothing that it was read from has moved since. All else is a miss: the query runs.
//
// It waits for a network: to be called with no lock of ours held, and never while a transaction commits. Either call
// takes at most whitecross.redis_timeout to connect and as long for the answer. After failures nothing is asked for a
// while (core/breaker).
#pragma once

#include "cache/generations.hpp"

#include <array>

namespace wc::cache {

struct Digest; // cache/store.hpp

namespace second_tier {

// Whether there is one that could be asked: the library is preloaded, and whitecross.redis_conninfo is set. Costs
// nothing.
bool configured() noexcept;

// What an entry is called there. Of another start of the server, or of other generations, no two names are the same.
struct Name {
    std::array<unsigned char, 32> bytes;
};

// known: what the question depends on as far as that is known before it is planned, always in the same order, with
// generations of now. Throws Error.
Name name_of(const Digest &digest, const Dependency *known, size_t count);

// What is kept of an entry.
struct Entry {
    uint64 since = 0;    // the moment (generations) before the query was looked at
    int64 ttl_ms = 0;    // of an entry that is fetched: what is left of it
    double cost_ms = 0;  // of running the query
    bool tagged = false; // by whoever stores it
    const Dependency *dependencies = nullptr;
    size_t dependency_count = 0;
    const Oid *tables = nullptr;
    size_t table_count = 0;
    const void *bytes = nullptr;
    size_t size = 0;
};

// An entry with the memory that it is in.
struct Found {
    Entry entry;
    std::vector<Dependency> dependencies;
    std::vector<Oid> tables;
    std::string plain;
    Found() = default;
    Found(const Found &) = delete; // the entry points into the rest
    Found &operator=(const Found &) = delete;
};

// Asks for an entry. tagged: whoever asks uses a tag; then, as where the entry was stored with one, it must be younger
// than the last invalidation by tags. Whether it is there, and as good as a hit of the first tier; counted (hit, miss,
// error, timeout). Never raises for what Redis does; throws Error where the statement is cancelled meanwhile.
bool fetch(const Name &name, bool tagged, Found &found);

// Hands an entry over that was noted (generations::note) for each of its dependencies, with what note() gave. Counted.
// What does not fit, or Redis doesn't take, is left out. Throws Error where the statement is cancelled meanwhile.
void keep(const Name &name, const Entry &entry);

// For wc_cache_stats.
enum class State {
    NotBuilt, // without hiredis
    Off,      // whitecross.redis_conninfo is empty
    NoKeys,   // whitecross.redis_key_file is not set, or can't be used
    Up,
    Down,    // it failed, and isn't asked for a while
    Probing, // it failed, and is about to be asked again
};
struct Status {
    State state = State::Off;
    char last_error[96] = {}; // printable ASCII, without any value or secret; empty: none since the server's start
};
Status status();

// As wc_cache_stats has it.
constexpr const char *word(State state) noexcept {
    switch (state) {
    case State::NotBuilt:
        return "not built";
    case State::Off:
        return "off";
    case State::NoKeys:
        return "no keys";
    case State::Up:
        return "up";
    case State::Down:
        return "down";
    case State::Probing:
        return "probing";
    }
    return "";
}

// Its shared memory. Called once, by cache::init().
void init();

} // namespace second_tier
} // namespace wc::cache

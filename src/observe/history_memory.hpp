// What the history takes from memory: the two latest hours of each pattern. Private to the history.
#pragma once

#include "observe/history.hpp"

namespace wc::observe::history {

struct Snapshot {
    struct Entry {
        Oid database;
        Oid role;
        uint64 query_id;
        core::history::Text text; // of a utility statement its command tag; empty: not known
        Hours hours;
    };
    uint64 run = 0;
    std::vector<Entry> entries;
    Hours other = {};

    // The latest hour that anything ran in: of this hour and the one before, all is in memory.
    [[nodiscard]] int64 latest() const;

    // One of these two, as a file has it.
    [[nodiscard]] core::history::Hour of(int64 hour) const;
};

// Throws Error.
Snapshot snapshot();

} // namespace wc::observe::history

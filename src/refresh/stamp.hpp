// What the expanded texts of a view were made from, put into a digest: where that is the same, so are the texts. Plain
// server code, called inside a guard; scans are under the snapshot that is handed down. Private to the room.
#pragma once

#include "pg/guard.hpp"

extern "C" {
#include "common/hashfn.h"
}

namespace wc::refresh {

// Order does not matter to it: rows come in whatever order an index has.
struct Digest {
    uint64 value = 0;
    void add(const void *bytes, size_t size) {
        value += hash_bytes_extended(static_cast<const unsigned char *>(bytes), static_cast<int>(size), 0);
    }
};

// Adds a table's columns, and the labels of enums among them: names, types and labels stand in the definitions.
void add_columns(Oid relid, Snapshot snapshot, Digest &digest);

// Adds the rows of a small table of ours: the text of their columns. first: those with that text in the first column,
// if not every row.
void add_rows(Oid relid, Snapshot snapshot, Digest &digest, const char *first = nullptr);

// Adds the extension's version: its catalogue of definitions changes with it.
void add_version(Snapshot snapshot, Digest &digest);

} // namespace wc::refresh

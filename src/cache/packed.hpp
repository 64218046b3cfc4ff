// Rows put into bytes that mean the same to every session of the server: each as the server has it in memory, without
// anything that lies elsewhere. Nothing here raises but flat_row() and put_packed(), plain server code.
#pragma once

#include "cache/rows.hpp"

namespace wc::cache::rows {

// A row without external or expanded values, in the current memory. May raise.
MinimalTuple flat_row(TupleDesc columns, const Datum *values, const bool *nulls);

// Rows, one after the other. What it can't take leaves it full: then it is of no use, and takes no more.
struct Pack {
    MemoryContext memory = nullptr;
    size_t most = 0; // bytes
    char *bytes = nullptr;
    size_t size = 0;
    size_t room = 0;
    uint64 count = 0;
    bool too_large = false;
    bool no_memory = false;
    [[nodiscard]] bool full() const noexcept { return too_large || no_memory; }
};

// Begins one: memory is where its bytes are kept, most how many they may be.
void begin(Pack &pack, MemoryContext memory, size_t most) noexcept;

void add(Pack &pack, MinimalTuple row) noexcept;

// Adds what the rows were read from, and when, in microseconds of a clock that doesn't go back.
void end(Pack &pack, int columns, const Oid *tables, size_t table_count, int64 made_at) noexcept;

// What such bytes say.
struct Packed {
    const char *rows = nullptr;
    const char *rows_end = nullptr;
    uint64 count = 0;
    const Oid *tables = nullptr;
    size_t table_count = 0;
    int64 made_at = 0;
};

// Reads them; they have to lie as memory of the server's does (MAXALIGN). False for what isn't rows of so many columns.
bool read(const char *bytes, size_t size, int columns, Packed &out) noexcept;

// Puts them out. May raise.
void put_packed(Output &out, const Packed &packed);

} // namespace wc::cache::rows

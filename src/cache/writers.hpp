// Who writes what: cells marked before a transaction of this session is visible, and moved afterwards.
#pragma once

#include "cache/generations.hpp"

namespace wc::cache::generations {

// Cells of one transaction. Where there are too many, one stands for all: everything_cell().
struct CellList {
    static constexpr uint32 most = 256;
    uint32 count;
    uint32 cell[most];
};

// The cells themselves. Neither allocates nor fails.
void mark(uint32 cell) noexcept;
void unmark(uint32 cell) noexcept;

// Subscribes to transactions' ends. Once, in _PG_init, while the server starts.
void follow_writers();

} // namespace wc::cache::generations

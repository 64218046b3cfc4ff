// Prepared transactions: what they have written stays marked until they are over, which may be in another session, in
// none that has a statement (an apply worker), or after the next start of the server.
#pragma once

#include "cache/writers.hpp"

namespace wc::cache::generations::prepared {

struct Record {
    TransactionId transaction; // invalid: free
    CellList marked;
};

// How many may be needed: of transactions that are prepared, and of those about to be.
Size most_records();

// The records, in a process that starts. fresh: none is in use.
void start(Record *records, bool fresh);

// Takes over the marks of the transaction that is about to be prepared. Plain server code; where it raises, it has
// taken nothing over.
void keep(TransactionId transaction, const CellList &marked);

// It has been prepared; too_late: it may have written more than was kept. Or it has failed after all: whether there was
// one that is to be looked for, when it has given its locks back. Neither allocates nor fails.
void kept(bool too_late) noexcept;
bool dropped() noexcept;

// This session has committed or rolled back a prepared transaction, or may have. Neither allocates nor fails.
void ended() noexcept;

// Moves the cells of those that have committed, and takes the marks away of those and of those rolled back. Looks when
// one has ended, and from time to time. Throws.
void settle();

// After a start of the server, or the end of a standby's recovery: marks what transactions have written that were
// prepared before. Once; others return at once. Throws.
void rebuild();

} // namespace wc::cache::generations::prepared

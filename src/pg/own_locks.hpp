// The relations that this session's transaction holds locked against other writers.
//
// Every way to write a table takes at least ROW EXCLUSIVE on that very table and keeps it to the end of the
// transaction: statements, cascades, triggers, COPY, partitions, apply workers, rewrites. So the locks are the list of
// what was written.
#pragma once

#include "pg/prelude.hpp"

namespace wc::pg::own_locks {

struct Held {
    Oid database; // InvalidOid: a catalogue that databases share
    Oid relation;
};

// Writes up to `most` of them to `held`, each once or twice, and returns how many there are: more than `most` where
// there was no room. Only locks that writers take: not SHARE nor SHARE UPDATE EXCLUSIVE, which let nobody write.
// Allocates nothing and does not fail.
size_t of_writers(Held *held, size_t most) noexcept;

} // namespace wc::pg::own_locks

// The statements that applications repeat in loops: what was found, in shared memory. What a burst that is under way
// has come to stands with whoever counts it (bursts, crowd), and is put together with this when somebody looks.
#pragma once

#include "observe/statement.hpp"
#include "pg/guard.hpp"

namespace wc::observe::findings {

enum class Kind : uint8 {
    Session,  // one session ran the statement more often than allowed
    Sessions, // several sessions of one role, application and host did, none of them by itself
};

// A finding, as long as it stands: its place, and whose turn it is there. 0: none.
using Reference = uint32;

// A burst that is under way.
struct UnderWay {
    Reference finding;
    uint32 size;           // executions so far
    TimestampTz last_seen; // of the last one
};

// As SQL shows it, with what is under way.
struct Finding {
    Kind kind;
    Oid database;
    Oid role;
    std::string application_name;
    uint64 query_id;
    CommandTag tag;
    uint64 bursts;
    uint32 largest;
    TimestampTz first_seen;
    TimestampTz last_seen;
    std::string text; // normalised; empty: not known
    int encoding;     // of the text
};

// Subscribes to the server's start. Called once, by bursts::init().
void init();

// Whether query ids like this one are to be left out (whitecross.n_plus_one_allowed).
bool is_allowed(uint64 query_id) noexcept;

// --- Where statements end: plain server code that neither allocates nor raises; the lock is a leaf ---

// Counts a burst of a statement of this session's role and application. With the table full, the finding that was
// longest not seen makes room.
Reference begin(Kind kind, const Statement &statement) noexcept;

// Whether a finding is still there: it may have been reset, or had to make room. Takes no lock.
bool stands(Reference finding) noexcept;

// How often all were forgotten. Takes no lock.
uint32 resets() noexcept;

// What a burst has come to, when it is over or has to be remembered. Does nothing where the finding is gone.
void remember(const UnderWay &burst) noexcept;

// Whether a burst that lasts is to be remembered, so that it isn't the one that was longest not seen: once a second.
inline bool is_due(TimestampTz last_seen, TimestampTz now) noexcept {
    return last_seen / USECS_PER_SEC != now / USECS_PER_SEC;
}

// Takes back what begin() counted.
void retract(Reference finding) noexcept;

// --- For who looks ---

// What the caller may see, the latest first. Throws 55000 where the library is not preloaded.
std::vector<Finding> list(const std::vector<UnderWay> &under_way);

// Forgets all; returns how many there were. Throws 55000.
int reset();

} // namespace wc::observe::findings

// What a visitor finds out about a database from inside: whether the extension is there, whether it is well, and what
// alerts want to know.
#pragma once

#include "monitor/reading.hpp"
#include "monitor/registry.hpp"

namespace wc::monitor::health {

// What it is asked. Trivial, as what it answers: bytes of a visit.
struct Question {
    bool check;       // not only whether the extension is there
    int32 timeout_ms; // that the check may take
};

constexpr int most_readings = 64;

struct Findings {
    bool present; // the extension is there
    char version[32];
    bool checked;                         // what follows is known
    int32 sqlstate;                       // the check failed with that error; 0: it came to its end
    int32 duration_ms;                    // of the check
    char reason[128];                     // of a check that failed, in words without values
    char failing[registry::most_failing]; // names of checks that are critical, one a line
    bool read;                            // what follows is known
    int32 readings;                       // the worst ones, if there are more
    Reading reading[most_readings];
};
static_assert(std::is_trivially_copyable_v<Question> && std::is_trivially_copyable_v<Findings>);

// The visitor's task (see visit.hpp): from a Question to Findings.
std::string look(std::string_view question);

// Private to the task: what alerts want to know of this database. In a transaction, as the extension's owner.
// schema: of the extension, as SQL writes it.
std::vector<Reading> readings(const std::string &schema);

} // namespace wc::monitor::health

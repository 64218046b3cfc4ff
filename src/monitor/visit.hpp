// Visits: what has to be done inside a database is done by a process of a moment, a visitor, that the monitor sends
// there. A visit has a time limit; it gives way to any command that claims the database, or the extension in it (see
// pg/claims.hpp); a few are under way at once, on a standby too.
#pragma once

#include "pg/duty.hpp"

namespace wc::monitor::visit {

// What a visitor is sent for. Each is served by one task (see serve()).
enum class Purpose : int {
    Look,   // is the extension there, is it well, what is to be read (see health.hpp)
    Notify, // tells a database's listeners of alerts
};

// In the visitor: connected to the database as the bootstrap superuser, with no transaction open, search_path
// pg_catalog, its statements not followed. What it throws, and what the server raises, ends the visit as Failed. When
// its time is up, or the database is claimed, it is cancelled (57014, which no task may go on after).
// request: as asked. Returns what the monitor is told; at most most_bytes.
using Task = std::string (*)(std::string_view request);

constexpr size_t most_bytes = 16384; // of a request, and of a reply

enum class End {
    Done,      //
    Failed,    // with an error: sqlstate; 0: the process ended without a word, or couldn't connect
    Overtime,  // not done within its limit
    GaveWay,   // the database, or the extension in it, was claimed: not begun, or given up
    NoProcess, // no slot for a background worker was free
};

struct Outcome {
    End end = End::NoProcess;
    int sqlstate = 0;
    std::string reply;                 // of Done
    std::chrono::milliseconds took{0}; // of the visitor's own time, from its beginning
};

using Told = std::function<void(const Outcome &)>;

struct Request {
    Purpose purpose = Purpose::Look;
    Oid database = InvalidOid;
    std::string bytes;
    std::chrono::milliseconds limit{5000}; // from when the visitor begins
};

// Says who serves a purpose, and how many visits for it are under way at once. Once each, by the room's init(), while
// the server loads the library.
void serve(Purpose purpose, const char *name, int at_once, Task task);

// The shared memory. Once, by the room's init(), while the server loads the library at its start.
void init();

// ---- In a task.

// What the monitor is told if the visit should end before the task has: as if that was its reply. Throws Error.
void reply_so_far(const std::string &reply);

// ---- In the monitor.

// Asks for a visit. told is called when it has ended, once, in a later look of the monitor's at its duties: nothing is
// waited for. It may ask again. Never throws for want of a process: that is told.
void ask(Request request, Told told);

// Sends visitors, keeps their time and tells what became of them.
std::unique_ptr<pg::Duty> duty();

} // namespace wc::monitor::visit

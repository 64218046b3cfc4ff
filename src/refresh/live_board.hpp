// What the processes of live mode share: one slot of shared memory for each database that has it, and who is to wake.
//   sessions   wake() a database's worker after a commit, hold() it away while they need the database for themselves
//   launcher   starts a worker for each slot that wants one
//   scout      says which databases want one
//   worker     attaches to its slot and says there how it is doing
#pragma once

#include "pg/hooks.hpp"

#include <chrono>

namespace wc::refresh::live {

// How a database's worker is. Its name (see name()) is what SQL shows.
enum class State : int {
    Stopped,      // not started yet, or sent away for a moment
    Starting,     // asked of the postmaster
    Running,      //
    Failed,       // ended with an error: tried again at retry_at
    NoProcess,    // no free slot for a background worker: tried again at retry_at
    NoExtension,  // nothing to do in this database, until CREATE EXTENSION
    OldExtension, // the same, until ALTER EXTENSION ... UPDATE
};

const char *name(State state);

// A slot as SQL and the launcher see it.
struct Status {
    Oid database = InvalidOid;
    bool wanted = false; // by the settings of the database
    bool held = false;   // sent away by a command that needs the database for itself
    State state = State::Stopped;
    int pid = 0;
    TimestampTz since = 0;        // of that state
    TimestampTz behind_since = 0; // commit time of the first change that isn't in the views yet; 0: none
    TimestampTz next_moment = 0;  // when it looks again without any change; 0: never
    TimestampTz retry_at = 0;     // of Failed and NoProcess
    int sqlstate = 0;             // of the last error; 0: none since it last went well
};

// How long to wait after so many failures in a row: 1 s, 2 s, 4 s, ..., 5 min.
std::chrono::seconds backoff(int failures);

namespace board {

// The block of shared memory.
extern const pg::hooks::SharedMemory block;

// False where the library was not loaded at server start.
bool available();

// --- Sessions ---

// Something was committed at that time; doubt: of a kind that the change log can't tell. Neither allocates nor fails.
void wake(Oid database, TimestampTz at, bool doubt) noexcept;

// Whether this process is a worker of live mode.
bool is_worker();

// After a commit: settings may have changed, so have the databases looked through again. Neither allocates nor fails.
void survey() noexcept;

// Workers that go and are started again, to run under the settings of now. InvalidOid: of every database.
void restart(Oid database) noexcept;

// A worker that found nothing to do may find something now.
void try_again(Oid database) noexcept;

// Sends the worker of a database away and waits until it has gone, 10 seconds at most; none comes until release().
// Returns whether it holds. Throws Error (cancel).
bool hold(Oid database);
void release(Oid database) noexcept;

// The slot of a database, if it has one.
std::optional<Status> status(Oid database);

// --- Launcher ---

// From now on this process is woken; settings is what a database has that says nothing.
void be_launcher(bool on_by_default);
bool take_survey(); // whether somebody asked for one since the last time
uint32 surveys();   // how many have come to an end
void on_by_default(bool value);
int slots();
Status slot(int number);
void starting(int number);
void not_started(int number, State why); // counts as a failure

// --- Scout ---

bool is_on_by_default();
// Returns how many of them found no free slot.
size_t want(const std::vector<Oid> &databases);

// --- Worker ---

// Takes the slot; false where it isn't wanted there (any more). The end of the process, however it comes, gives it
// back.
bool attach(int number, Oid *database);
bool told_to_leave();
bool has_news();  // whether something was committed since the last begin()
bool begin();     // takes the news; true: something in it that the change log doesn't tell
void went_well(); // what begin() took is in the views
void failed(int sqlstate);
void looks_at(TimestampTz next_moment);
void leave(State why); // the last word

} // namespace board

} // namespace wc::refresh::live

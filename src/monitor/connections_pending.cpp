// Samples of connections that are in no file yet.
#include "monitor/connections_pending.hpp"

#include "core/connection_file.hpp"
#include "observe/history.hpp"
#include "observe/history_folder.hpp"
#include "pg/hooks.hpp"
#include "pg/locked.hpp"

extern "C" {
#include "storage/ipc.h"
}

namespace wc::monitor::connections::pending {

namespace {

struct Board {
    LWLock *lock;
    Outcome outcome;
    int64 hour;
    int64 place;
    int64 samples; // in the records
    Size room;
    Size used;
    char records[FLEXIBLE_ARRAY_MEMBER];
};
constinit Board *board = nullptr;

// More than one sample can take, where each connection is of a database and role of its own whose names are as long as
// they can be; and hours of samples of an ordinary server.
Size room() {
    constexpr Size one_connection = 256;
    return 65536 + one_connection * static_cast<Size>(MaxConnections);
}

Size size() {
    return offsetof(Board, records) + room();
}

// An hour's file may have so much: 3,600 samples in which a hundred connections change.
constexpr int64 largest_file = int64{8} * 1024 * 1024;

// At the end of the postmaster, when the monitor is gone.
extern "C" void write_samples_at_end(int code, Datum) {
    if (code != 0)
        return;
    char message[256] = {};
    try {
        (void)write();
        return;
    } catch (const std::exception &problem) {
        strlcpy(message, problem.what(), sizeof(message));
    } catch (...) {
        strlcpy(message, "unknown exception", sizeof(message));
    }
    ereport(LOG, (errmsg("the latest samples of connections were not written: %s", message)));
}

void start(void *memory, LWLock *lock, bool fresh) {
    board = static_cast<Board *>(memory);
    if (fresh) {
        memset(memory, 0, offsetof(Board, records));
        board->lock = lock;
        board->room = room();
    }
    if (!IsUnderPostmaster)
        on_shmem_exit(write_samples_at_end, static_cast<Datum>(0));
}

} // namespace

void init() {
    pg::hooks::shared_memory({"whitecross connection history", size, start});
}

State copy() {
    State state;
    state.records.resize(board->room);
    Size used = 0;
    {
        const pg::Locked locked(board->lock, LW_SHARED);
        state.hour = board->hour;
        state.place = board->place;
        used = board->used;
        memcpy(state.records.data(), board->records, used);
    }
    state.records.resize(used);
    return state;
}

int64 hour() {
    return board->hour;
}

bool add(std::string_view records) {
    if (records.size() > board->room - board->used)
        return false;
    const pg::Locked locked(board->lock);
    memcpy(board->records + board->used, records.data(), records.size());
    board->used += records.size();
    board->samples++;
    return true;
}

bool write() {
    if (board->used == 0)
        return false;
    const uint64 run = observe::history::run_of_server();
    const std::string bytes = core::connections::piece(board->hour, run, {board->records, board->used});
    if (board->place + static_cast<int64>(bytes.size()) > largest_file)
        throw pg::Error(ERRCODE_PROGRAM_LIMIT_EXCEEDED, "the file of samples of this hour is full");
    observe::history::folder::append(core::history::file_name({board->hour, run, core::history::Kind::Connections}),
                                     board->place, bytes);
    const pg::Locked locked(board->lock);
    board->place += static_cast<int64>(bytes.size());
    board->used = 0;
    board->samples = 0;
    return true;
}

void drop() {
    const pg::Locked locked(board->lock);
    board->outcome.lost += board->samples;
    board->used = 0;
    board->samples = 0;
}

void begin(int64 hour, int64 place) {
    const pg::Locked locked(board->lock);
    board->hour = hour;
    board->place = place;
}

void note_outcome(int sqlstate) noexcept {
    const TimestampTz now = GetCurrentTimestamp();
    const pg::Locked locked(board->lock);
    board->outcome.sqlstate = sqlstate;
    if (sqlstate == 0)
        board->outcome.written_at = now;
}

Outcome outcome() {
    const pg::Locked locked(board->lock, LW_SHARED);
    return board->outcome;
}

} // namespace wc::monitor::connections::pending

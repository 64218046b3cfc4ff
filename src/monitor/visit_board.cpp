// The shared memory of visits.
#include "monitor/visit_board.hpp"

#include "pg/claims.hpp"
#include "pg/clock.hpp"
#include "pg/locked.hpp"

#include <array>
#include <csignal>

extern "C" {
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
}

namespace wc::monitor::visit::board {

namespace {

// Read and written under the lock, but for what the visitor alone writes before it says that it is done, and the
// monitor alone before it puts the visit up.
struct Place {
    uint32 number; // of the visit: a visitor that comes too late finds another one here
    bool up;
    bool begun;
    bool gave_way;
    bool done;
    int pid; // of the visitor; 0: not there
    Purpose purpose;
    Oid database;
    int sqlstate;
    int64 begun_at;
    int64 ended_at;
    size_t size; // of bytes: the request, and when it is done the reply
    char bytes[most_bytes];
};

struct Board {
    LWLock *lock;
    ConditionVariable gone; // a visitor is
    int seats;
    Place places[board::places];
    Oid claimed[FLEXIBLE_ARRAY_MEMBER]; // by number of process: the database that its transaction claims
};

Board *memory = nullptr;

Size size() {
    return offsetof(Board, claimed) + sizeof(Oid) * static_cast<Size>(MaxBackends);
}

void start(void *block, LWLock *lock, bool fresh) {
    memory = static_cast<Board *>(block);
    if (!fresh)
        return;
    memset(block, 0, size());
    memory->lock = lock;
    memory->seats = MaxBackends;
    ConditionVariableInit(&memory->gone);
}

// The ones below need the lock.

bool is_claimed(Oid database) {
    for (int i = 0; i < memory->seats; ++i)
        if (memory->claimed[i] == database)
            return true;
    return false;
}

void stop(Place &place) {
    if (place.pid != 0) // it has the place until it is gone, so the process is its own
        kill(place.pid, SIGTERM);
}

// Asks the visitors of a database to go. Returns whether one is there.
bool send_away(Oid database) {
    bool any = false;
    for (Place &place : memory->places) {
        if (!place.up || place.database != database || place.pid == 0)
            continue;
        place.gave_way = true;
        stop(place);
        any = true;
    }
    return any;
}

// ---- Sessions.

// This process's own; processes that run commands are the first MaxBackends ones.
Oid &my_claim() {
    return memory->claimed[MyProc - ProcGlobal->allProcs];
}

void free_again(Oid) noexcept {
    const pg::Locked locked(memory->lock);
    my_claim() = InvalidOid;
}

bool is_there(Oid database) {
    const pg::Locked locked(memory->lock, LW_SHARED);
    return std::any_of(std::begin(memory->places), std::end(memory->places),
                       [=](const Place &place) { return place.up && place.database == database && place.pid != 0; });
}

void send_away_again(Oid database) {
    const pg::Locked locked(memory->lock);
    (void)send_away(database);
}

bool give_way(Oid database, pg::claims::Claim) {
    if (memory == nullptr)
        return false;
    bool there = false;
    {
        const pg::Locked locked(memory->lock);
        my_claim() = database;
        there = send_away(database);
    }
    if (!there)
        return true;
    try {
        pg::claims::wait_until_gone({&memory->gone, is_there, send_away_again}, database);
    } catch (...) {
        free_again(database);
        throw;
    }
    return true;
}

// ---- The end of processes.

// Of the visitor. It has left the list of processes by then: the place is taken before it connects.
void leave(int, Datum number) {
    {
        const pg::Locked locked(memory->lock);
        Place &place = memory->places[DatumGetInt32(number)];
        if (place.pid != MyProcPid)
            return;
        place.pid = 0;
        if (place.ended_at == 0)
            place.ended_at = pg::clock::microseconds();
    }
    ConditionVariableBroadcast(&memory->gone);
}

void take_all_down() {
    const pg::Locked locked(memory->lock);
    for (Place &place : memory->places) {
        place.number++;
        if (place.pid != 0)
            stop(place);
        else
            place.up = false;
    }
}

} // namespace

void init() {
    pg::hooks::shared_memory({"whitecross visits", size, start});
    pg::claims::subscribe({give_way, free_again});
}

void be_monitor() {
    take_all_down();
    // Nobody would keep their time.
    pg::call([] { on_shmem_exit([](int, Datum) { take_all_down(); }, 0); });
}

Put put_up(int number, const Request &request) {
    const pg::Locked locked(memory->lock);
    Place &place = memory->places[number];
    Put out;
    if (place.pid != 0)
        return out;
    if (is_claimed(request.database)) {
        out.claimed = true;
        return out;
    }
    place.number++;
    place.up = true;
    place.begun = place.gave_way = place.done = false;
    place.purpose = request.purpose;
    place.database = request.database;
    place.sqlstate = 0;
    place.begun_at = place.ended_at = 0;
    place.size = request.bytes.size();
    memcpy(place.bytes, request.bytes.data(), place.size);
    out.put = true;
    out.argument = UInt32GetDatum(place.number * board::places + static_cast<uint32>(number));
    return out;
}

Seen look(int number) {
    const pg::Locked locked(memory->lock);
    const Place &place = memory->places[number];
    Seen out;
    out.begun = place.begun;
    out.there = place.pid != 0;
    out.gave_way = place.gave_way;
    out.done = place.done;
    out.sqlstate = place.sqlstate;
    out.begun_at = place.begun_at;
    out.ended_at = place.ended_at;
    return out;
}

std::string reply(int number) {
    std::string out(most_bytes, '\0');
    size_t size = 0;
    {
        const pg::Locked locked(memory->lock);
        const Place &place = memory->places[number];
        size = place.size;
        memcpy(out.data(), place.bytes, size);
    }
    out.resize(size);
    return out;
}

void end(int number) {
    const pg::Locked locked(memory->lock);
    stop(memory->places[number]);
}

void take_down(int number) {
    const pg::Locked locked(memory->lock);
    Place &place = memory->places[number];
    place.number++;
    place.up = place.pid != 0; // one that can't be got rid of is still in a database
}

Begun begin(Datum argument) {
    const uint32 given = DatumGetUInt32(argument);
    Begun out;
    out.place = static_cast<int>(given % board::places);
    pg::call([=] { on_shmem_exit(leave, Int32GetDatum(out.place)); });
    const pg::Locked locked(memory->lock);
    Place &place = memory->places[out.place];
    if (!place.up || place.number * board::places + static_cast<uint32>(out.place) != given || place.pid != 0)
        return out;
    if (is_claimed(place.database)) {
        place.gave_way = true;
        return out;
    }
    place.begun = true;
    place.begun_at = pg::clock::microseconds();
    place.pid = MyProcPid;
    out.begun = true;
    out.purpose = place.purpose;
    out.database = place.database;
    return out;
}

std::string request(int number) {
    const Place &place = memory->places[number];
    return {place.bytes, place.size};
}

void done(int number, const std::string &reply) {
    if (reply.size() > most_bytes)
        throw pg::Error(ERRCODE_PROGRAM_LIMIT_EXCEEDED, "the reply of a visit is too long");
    const pg::Locked locked(memory->lock);
    Place &place = memory->places[number];
    place.size = reply.size();
    memcpy(place.bytes, reply.data(), reply.size());
    if (!std::exchange(place.done, true)) // what it adds to a reply was not waited for
        place.ended_at = pg::clock::microseconds();
}

void failed(int number, int sqlstate) {
    const pg::Locked locked(memory->lock);
    Place &place = memory->places[number];
    place.sqlstate = sqlstate;
    if (!place.done)
        place.ended_at = pg::clock::microseconds();
}

} // namespace wc::monitor::visit::board

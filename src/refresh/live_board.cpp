// The shared memory of live mode.
#include "refresh/live_board.hpp"

#include "pg/worker.hpp"

#include <algorithm>
#include <csignal>

extern "C" {
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "utils/wait_event.h"
}

namespace wc::refresh::live {

namespace {

// How long a command waits for a worker to leave. It is one cancelled query away, and the server's own check waits too.
constexpr long patience_ms = 10000;

// Read and written under the lock, but for the atomics, which a committing session reads and sets without it.
struct Slot {
    pg_atomic_uint32 database;
    pg_atomic_uint32 process;      // number of the worker's PGPROC plus one; 0: none
    pg_atomic_uint64 behind_since; // see Status; 0: none
    bool wanted;
    bool asked_to_leave;
    bool again; // asked for while it was leaving
    int holds;
    int pid;
    int failures; // in a row, of the whole process
    State state;
    TimestampTz since;
    TimestampTz serving_since; // what behind_since was when the worker took it
    TimestampTz next_moment;
    TimestampTz retry_at;
    int sqlstate;
    ConditionVariable gone;
};

struct Board {
    LWLock *lock;
    pg_atomic_uint32 launcher; // as Slot::process
    bool survey_asked;
    uint32 surveys;
    bool on_by_default;
    int count;
    Slot slots[FLEXIBLE_ARRAY_MEMBER];
};

Board *board_memory = nullptr;
Slot *mine = nullptr; // the worker's own

class Locked {
  public:
    Locked() { LWLockAcquire(board_memory->lock, LW_EXCLUSIVE); }
    Locked(const Locked &) = delete;
    Locked &operator=(const Locked &) = delete;
    ~Locked() { LWLockRelease(board_memory->lock); }
};

// Databases that want a worker but have no extension keep a slot too, so there are more slots than workers.
int number_of_slots() {
    return std::max(64, 4 * max_worker_processes);
}

Size size() {
    return offsetof(Board, slots) + sizeof(Slot) * static_cast<Size>(number_of_slots());
}

void start(void *memory, LWLock *lock, bool fresh) {
    board_memory = static_cast<Board *>(memory);
    if (!fresh)
        return;
    memset(memory, 0, size());
    board_memory->lock = lock;
    board_memory->count = number_of_slots();
    pg_atomic_init_u32(&board_memory->launcher, 0);
    for (int i = 0; i < board_memory->count; ++i) {
        Slot &slot = board_memory->slots[i];
        pg_atomic_init_u32(&slot.database, InvalidOid);
        pg_atomic_init_u32(&slot.process, 0);
        pg_atomic_init_u64(&slot.behind_since, 0);
        ConditionVariableInit(&slot.gone);
    }
}

// A process may have gone meanwhile: its latch then wakes nobody, or whoever came after it, for nothing.
void wake_process(pg_atomic_uint32 &process) {
    const uint32 number = pg_atomic_read_u32(&process);
    if (number != 0)
        SetLatch(&ProcGlobal->allProcs[number - 1].procLatch);
}

uint32 my_process() {
    return static_cast<uint32>(MyProc - ProcGlobal->allProcs) + 1;
}

Slot *find(Oid database) {
    for (int i = 0; i < board_memory->count; ++i)
        if (pg_atomic_read_u32(&board_memory->slots[i].database) == database)
            return &board_memory->slots[i];
    return nullptr;
}

void set_state(Slot &slot, State state) {
    slot.state = state;
    slot.since = GetCurrentTimestamp();
}

void forget_if_unused(Slot &slot) {
    if (slot.wanted || slot.holds > 0 || slot.pid != 0 || slot.state == State::Starting)
        return;
    pg_atomic_write_u32(&slot.database, InvalidOid);
    pg_atomic_write_u64(&slot.behind_since, 0);
    slot.failures = 0;
    slot.state = State::Stopped;
    slot.since = slot.serving_since = slot.next_moment = slot.retry_at = 0;
    slot.sqlstate = 0;
}

Slot *find_or_take(Oid database) {
    if (Slot *slot = find(database); slot != nullptr)
        return slot;
    Slot *slot = find(InvalidOid);
    if (slot != nullptr)
        pg_atomic_write_u32(&slot->database, database);
    return slot;
}

void count_failure(Slot &slot, State state) {
    slot.failures++;
    set_state(slot, state);
    slot.retry_at = slot.since + backoff(slot.failures).count() * USECS_PER_SEC;
}

void stop_counting(Slot &slot) {
    slot.failures = 0;
    slot.retry_at = 0;
    set_state(slot, State::Stopped);
}

// The end of the worker's process. It has left the list of processes by then: the slot is taken before it connects.
void detach(int, Datum number) {
    {
        const Locked locked;
        Slot &slot = board_memory->slots[DatumGetInt32(number)];
        if (slot.pid != MyProcPid) // it didn't get it
            return;
        slot.pid = 0;
        slot.asked_to_leave = false;
        slot.next_moment = 0;
        pg_atomic_write_u32(&slot.process, 0);
        if (slot.state == State::Running) // without a last word
            count_failure(slot, State::Failed);
        if (std::exchange(slot.again, false))
            stop_counting(slot);
        forget_if_unused(slot);
        ConditionVariableBroadcast(&slot.gone);
    }
    wake_process(board_memory->launcher);
}

TimestampTz earlier(TimestampTz a, TimestampTz b) {
    if (a == 0 || b == 0)
        return std::max(a, b);
    return std::min(a, b);
}

Status status_of(Slot &slot) {
    Status out;
    out.database = pg_atomic_read_u32(&slot.database);
    out.wanted = slot.wanted;
    out.held = slot.holds > 0;
    out.state = slot.state;
    out.pid = slot.pid;
    out.since = slot.since;
    out.behind_since = earlier(slot.serving_since, static_cast<TimestampTz>(pg_atomic_read_u64(&slot.behind_since)));
    out.next_moment = slot.next_moment;
    out.retry_at = slot.retry_at;
    out.sqlstate = slot.sqlstate;
    return out;
}

} // namespace

const char *name(State state) {
    switch (state) {
    case State::Stopped:
        return "stopped";
    case State::Starting:
        return "starting";
    case State::Running:
        return "running";
    case State::Failed:
        return "failed";
    case State::NoProcess:
        return "no worker slot";
    case State::NoExtension:
        return "no extension";
    case State::OldExtension:
        return "old extension";
    }
    return "";
}

std::chrono::seconds backoff(int failures) {
    constexpr std::chrono::seconds longest = std::chrono::minutes(5);
    if (failures > 9)
        return longest;
    return std::min(longest, std::chrono::seconds(1L << std::max(failures - 1, 0)));
}

namespace board {

const pg::hooks::SharedMemory block = {"whitecross live", size, start};

bool available() {
    return board_memory != nullptr;
}

void wake(Oid database, TimestampTz at) noexcept {
    if (board_memory == nullptr)
        return;
    Slot *slot = find(database);
    if (slot == nullptr)
        return;
    uint64 none = 0;
    pg_atomic_compare_exchange_u64(&slot->behind_since, &none, static_cast<uint64>(at)); // a barrier too
    wake_process(slot->process);
}

void survey() noexcept {
    if (board_memory == nullptr)
        return;
    {
        const Locked locked;
        board_memory->survey_asked = true;
    }
    wake_process(board_memory->launcher);
}

void restart(Oid database) noexcept {
    if (board_memory == nullptr)
        return;
    const Locked locked;
    for (int i = 0; i < board_memory->count; ++i) {
        Slot &slot = board_memory->slots[i];
        if (slot.pid == 0 || (OidIsValid(database) && pg_atomic_read_u32(&slot.database) != database))
            continue;
        slot.asked_to_leave = true;
        wake_process(slot.process);
    }
}

void try_again(Oid database) noexcept {
    if (board_memory == nullptr)
        return;
    {
        const Locked locked;
        Slot *slot = find(database);
        if (slot == nullptr || slot->state == State::Starting)
            return; // it hasn't looked yet
        if (slot->pid != 0)
            slot->again = true;
        else
            stop_counting(*slot);
    }
    wake_process(board_memory->launcher);
}

bool hold(Oid database) {
    if (board_memory == nullptr)
        return false;
    Slot *slot = nullptr;
    {
        const Locked locked;
        slot = find_or_take(database);
        if (slot == nullptr)
            return false;
        slot->holds++;
        if (slot->pid != 0) {
            slot->asked_to_leave = true;
            kill(slot->pid, SIGTERM); // cancels what it is doing; it has the slot, so the process is its own
        }
    }
    try {
        pg::call([=] {
            const TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), patience_ms);
            ConditionVariablePrepareToSleep(&slot->gone);
            for (;;) {
                LWLockAcquire(board_memory->lock, LW_SHARED);
                const bool there = slot->pid != 0;
                LWLockRelease(board_memory->lock);
                const long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
                if (!there || left <= 0)
                    break;
                ConditionVariableTimedSleep(&slot->gone, left, PG_WAIT_EXTENSION);
            }
            ConditionVariableCancelSleep();
        });
    } catch (...) {
        release(database);
        throw;
    }
    return true;
}

void release(Oid database) noexcept {
    if (board_memory == nullptr)
        return;
    {
        const Locked locked;
        Slot *slot = find(database);
        if (slot != nullptr && slot->holds > 0) {
            slot->holds--;
            forget_if_unused(*slot);
        }
    }
    survey();
}

std::optional<Status> status(Oid database) {
    if (board_memory == nullptr)
        return {};
    const Locked locked;
    Slot *slot = find(database);
    if (slot == nullptr)
        return {};
    return status_of(*slot);
}

void be_launcher(bool on) {
    {
        const Locked locked;
        board_memory->on_by_default = on;
        board_memory->survey_asked = true;
        // What a launcher before this one had started has attached, or will find that it is not needed.
        for (int i = 0; i < board_memory->count; ++i) {
            Slot &slot = board_memory->slots[i];
            if (slot.state != State::Starting)
                continue;
            set_state(slot, State::Stopped);
            forget_if_unused(slot);
        }
        pg_atomic_write_u32(&board_memory->launcher, my_process());
    }
    pg::call([] { on_shmem_exit([](int, Datum) { pg_atomic_write_u32(&board_memory->launcher, 0); }, 0); });
}

bool take_survey() {
    const Locked locked;
    return std::exchange(board_memory->survey_asked, false);
}

uint32 surveys() {
    const Locked locked;
    return board_memory->surveys;
}

void on_by_default(bool value) {
    const Locked locked;
    if (std::exchange(board_memory->on_by_default, value) != value)
        board_memory->survey_asked = true;
}

int slots() {
    return board_memory->count;
}

Status slot(int number) {
    const Locked locked;
    return status_of(board_memory->slots[number]);
}

void starting(int number) {
    const Locked locked;
    Slot &slot = board_memory->slots[number];
    if (slot.pid == 0)
        set_state(slot, State::Starting);
}

void not_started(int number, State why) {
    const Locked locked;
    Slot &slot = board_memory->slots[number];
    if (slot.pid != 0 || slot.state != State::Starting)
        return;
    count_failure(slot, why);
    forget_if_unused(slot);
}

bool is_on_by_default() {
    const Locked locked;
    return board_memory->on_by_default;
}

size_t want(const std::vector<Oid> &databases) {
    size_t without = 0;
    {
        const Locked locked;
        board_memory->surveys++;
        for (int i = 0; i < board_memory->count; ++i) {
            Slot &slot = board_memory->slots[i];
            const Oid database = pg_atomic_read_u32(&slot.database);
            if (!OidIsValid(database))
                continue;
            slot.wanted = std::find(databases.begin(), databases.end(), database) != databases.end();
            if (!slot.wanted && slot.pid != 0) {
                slot.asked_to_leave = true;
                kill(slot.pid, SIGTERM);
            }
            forget_if_unused(slot);
        }
        for (const Oid database : databases) {
            Slot *slot = find_or_take(database);
            if (slot != nullptr)
                slot->wanted = true;
            else
                without++;
        }
    }
    wake_process(board_memory->launcher);
    return without;
}

bool attach(int number, Oid *database) {
    pg::call([=] { on_shmem_exit(detach, Int32GetDatum(number)); });
    {
        const Locked locked;
        Slot &slot = board_memory->slots[number];
        if (slot.pid != 0 || slot.state != State::Starting)
            return false;
        *database = pg_atomic_read_u32(&slot.database);
        if (slot.holds > 0 || !slot.wanted) {
            set_state(slot, State::Stopped);
            forget_if_unused(slot);
            return false;
        }
        mine = &slot;
        slot.pid = MyProcPid;
        slot.asked_to_leave = false;
        slot.retry_at = 0;
        set_state(slot, State::Running);
        pg_atomic_write_u32(&slot.process, my_process());
    }
    pg_memory_barrier(); // what is committed from here on wakes it; what was before, it sees when it looks
    return true;
}

bool told_to_leave() {
    const Locked locked;
    return mine->asked_to_leave;
}

bool has_news() {
    return pg_atomic_read_u64(&mine->behind_since) != 0;
}

TimestampTz begin() {
    const auto news = static_cast<TimestampTz>(pg_atomic_exchange_u64(&mine->behind_since, 0));
    const Locked locked;
    mine->serving_since = earlier(mine->serving_since, news);
    return mine->serving_since;
}

void went_well() {
    const Locked locked;
    mine->serving_since = 0;
    mine->sqlstate = 0;
}

void failed(int sqlstate) {
    const Locked locked;
    mine->sqlstate = sqlstate;
}

void looks_at(TimestampTz next_moment) {
    const Locked locked;
    mine->next_moment = next_moment;
    mine->failures = 0; // the process is well, whatever its views
}

void leave(State why) {
    const Locked locked;
    if (why == State::Failed) {
        count_failure(*mine, State::Failed);
        return;
    }
    set_state(*mine, why);
}

} // namespace board

} // namespace wc::refresh::live

// The shared memory of live mode: making it, and what sessions do with it.
#include "refresh/live_slot.hpp"

#include "pg/claims.hpp"

#include <algorithm>
#include <csignal>

extern "C" {
#include "storage/latch.h"
#include "storage/proc.h"
}

namespace wc::refresh::live {

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

Board *memory = nullptr;

namespace {

// Databases that want a worker but have no extension keep a slot too, so there are more slots than workers.
int number_of_slots() {
    return std::max(64, 4 * max_worker_processes);
}

Size size() {
    return offsetof(Board, slots) + sizeof(Slot) * static_cast<Size>(number_of_slots());
}

void start(void *block, LWLock *lock, bool fresh) {
    memory = static_cast<Board *>(block);
    if (!fresh)
        return;
    memset(block, 0, size());
    memory->lock = lock;
    memory->count = number_of_slots();
    pg_atomic_init_u32(&memory->launcher, 0);
    for (int i = 0; i < memory->count; ++i) {
        Slot &slot = memory->slots[i];
        pg_atomic_init_u32(&slot.database, InvalidOid);
        pg_atomic_init_u32(&slot.process, 0);
        pg_atomic_init_u64(&slot.behind_since, 0);
        pg_atomic_init_u32(&slot.doubt, 0);
        ConditionVariableInit(&slot.gone);
    }
}

} // namespace

void wake_process(pg_atomic_uint32 &process) {
    const uint32 number = pg_atomic_read_u32(&process);
    if (number != 0)
        SetLatch(&ProcGlobal->allProcs[number - 1].procLatch);
}

Slot *find(Oid database) {
    for (int i = 0; i < memory->count; ++i)
        if (pg_atomic_read_u32(&memory->slots[i].database) == database)
            return &memory->slots[i];
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

const pg::hooks::SharedMemory block = {"whitecross live", size, start};

bool available() {
    return memory != nullptr;
}

void wake(Oid database, TimestampTz at, bool doubt) noexcept {
    if (memory == nullptr || !OidIsValid(database))
        return;
    Slot *slot = find(database);
    if (slot == nullptr)
        return;
    if (doubt)
        pg_atomic_write_u32(&slot->doubt, 1);
    uint64 none = 0;
    pg_atomic_compare_exchange_u64(&slot->behind_since, &none, static_cast<uint64>(at)); // a barrier too
    wake_process(slot->process);
}

void survey() noexcept {
    if (memory == nullptr)
        return;
    {
        const pg::Locked locked(memory->lock);
        memory->survey_asked = true;
    }
    wake_process(memory->launcher);
}

void restart(Oid database) noexcept {
    if (memory == nullptr)
        return;
    const pg::Locked locked(memory->lock);
    for (int i = 0; i < memory->count; ++i) {
        Slot &slot = memory->slots[i];
        if (slot.pid == 0 || (OidIsValid(database) && pg_atomic_read_u32(&slot.database) != database))
            continue;
        slot.asked_to_leave = true;
        wake_process(slot.process);
    }
}

void try_again(Oid database) noexcept {
    if (memory == nullptr)
        return;
    {
        const pg::Locked locked(memory->lock);
        Slot *slot = find(database);
        if (slot == nullptr || slot->state == State::Starting)
            return; // it hasn't looked yet
        if (slot->pid != 0)
            slot->again = true;
        else
            stop_counting(*slot);
    }
    wake_process(memory->launcher);
}

namespace {

// Under the lock. Cancels what the worker is doing; it has the slot, so the process is its own.
void send_away(Slot &slot) {
    if (slot.pid == 0)
        return;
    slot.asked_to_leave = true;
    kill(slot.pid, SIGTERM);
}

void send_away_again(Oid database) {
    const pg::Locked locked(memory->lock);
    if (Slot *slot = find(database); slot != nullptr)
        send_away(*slot);
}

bool is_there(Oid database) {
    const pg::Locked locked(memory->lock, LW_SHARED);
    const Slot *slot = find(database);
    return slot != nullptr && slot->pid != 0;
}

} // namespace

bool hold(Oid database) {
    if (memory == nullptr)
        return false;
    Slot *slot = nullptr;
    {
        const pg::Locked locked(memory->lock);
        slot = find_or_take(database);
        if (slot == nullptr)
            return false;
        slot->holds++;
        send_away(*slot);
    }
    try {
        pg::claims::wait_until_gone({&slot->gone, is_there, send_away_again}, database);
    } catch (...) {
        release(database);
        throw;
    }
    return true;
}

void release(Oid database) noexcept {
    if (memory == nullptr)
        return;
    {
        const pg::Locked locked(memory->lock);
        Slot *slot = find(database);
        if (slot != nullptr && slot->holds > 0) {
            slot->holds--;
            forget_if_unused(*slot);
        }
    }
    survey();
}

std::optional<Status> status(Oid database) {
    if (memory == nullptr)
        return {};
    const pg::Locked locked(memory->lock);
    Slot *slot = find(database);
    if (slot == nullptr)
        return {};
    return status_of(*slot);
}

} // namespace board

} // namespace wc::refresh::live

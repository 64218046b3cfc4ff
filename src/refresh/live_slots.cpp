// The shared memory of live mode: what the launcher, the scout and the workers do with it.
#include "refresh/live_slot.hpp"

#include <algorithm>
#include <csignal>

extern "C" {
#include "storage/ipc.h"
#include "storage/proc.h"
}

namespace wc::refresh::live::board {

namespace {

Slot *mine = nullptr; // the worker's own

uint32 my_process() {
    return static_cast<uint32>(MyProc - ProcGlobal->allProcs) + 1;
}

// The end of the worker's process. It has left the list of processes by then: the slot is taken before it connects.
void detach(int, Datum number) {
    {
        const pg::Locked locked(memory->lock);
        Slot &slot = memory->slots[DatumGetInt32(number)];
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
    wake_process(memory->launcher);
}

} // namespace

void be_launcher(bool on) {
    {
        const pg::Locked locked(memory->lock);
        memory->on_by_default = on;
        memory->survey_asked = true;
        // What a launcher before this one had started has attached, or will find that it is not needed.
        for (int i = 0; i < memory->count; ++i) {
            Slot &slot = memory->slots[i];
            if (slot.state != State::Starting)
                continue;
            set_state(slot, State::Stopped);
            forget_if_unused(slot);
        }
        pg_atomic_write_u32(&memory->launcher, my_process());
    }
    pg::call([] { on_shmem_exit([](int, Datum) { pg_atomic_write_u32(&memory->launcher, 0); }, 0); });
}

bool take_survey() {
    const pg::Locked locked(memory->lock);
    return std::exchange(memory->survey_asked, false);
}

uint32 surveys() {
    const pg::Locked locked(memory->lock);
    return memory->surveys;
}

void on_by_default(bool value) {
    const pg::Locked locked(memory->lock);
    if (std::exchange(memory->on_by_default, value) != value)
        memory->survey_asked = true;
}

int slots() {
    return memory->count;
}

Status slot(int number) {
    const pg::Locked locked(memory->lock);
    return status_of(memory->slots[number]);
}

void starting(int number) {
    const pg::Locked locked(memory->lock);
    Slot &slot = memory->slots[number];
    if (slot.pid == 0)
        set_state(slot, State::Starting);
}

void not_started(int number, State why) {
    const pg::Locked locked(memory->lock);
    Slot &slot = memory->slots[number];
    if (slot.pid != 0 || slot.state != State::Starting)
        return;
    count_failure(slot, why);
    forget_if_unused(slot);
}

bool is_on_by_default() {
    const pg::Locked locked(memory->lock);
    return memory->on_by_default;
}

size_t want(const std::vector<Oid> &databases) {
    size_t without = 0;
    {
        const pg::Locked locked(memory->lock);
        memory->surveys++;
        for (int i = 0; i < memory->count; ++i) {
            Slot &slot = memory->slots[i];
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
    wake_process(memory->launcher);
    return without;
}

bool attach(int number, Oid *database) {
    pg::call([=] { on_shmem_exit(detach, Int32GetDatum(number)); });
    {
        const pg::Locked locked(memory->lock);
        Slot &slot = memory->slots[number];
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
    const pg::Locked locked(memory->lock);
    return mine->asked_to_leave;
}

bool has_news() {
    return pg_atomic_read_u64(&mine->behind_since) != 0;
}

bool begin() {
    // In this order: who sets them does it the other way round.
    const auto news = static_cast<TimestampTz>(pg_atomic_exchange_u64(&mine->behind_since, 0));
    const bool doubt = pg_atomic_exchange_u32(&mine->doubt, 0) != 0;
    const pg::Locked locked(memory->lock);
    mine->serving_since = earlier(mine->serving_since, news);
    return doubt;
}

void went_well() {
    const pg::Locked locked(memory->lock);
    mine->serving_since = 0;
    mine->sqlstate = 0;
}

void failed(int sqlstate) {
    const pg::Locked locked(memory->lock);
    mine->sqlstate = sqlstate;
}

void looks_at(TimestampTz next_moment) {
    const pg::Locked locked(memory->lock);
    mine->next_moment = next_moment;
    mine->failures = 0; // the process is well, whatever its views
}

void leave(State why) {
    const pg::Locked locked(memory->lock);
    if (why == State::Failed) {
        count_failure(*mine, State::Failed);
        return;
    }
    set_state(*mine, why);
}

bool is_worker() {
    return mine != nullptr;
}

} // namespace wc::refresh::live::board

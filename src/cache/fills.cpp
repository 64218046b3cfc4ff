// Fills in flight: a seat for each process, by its number.
//
// The lock is a leaf: nothing is raised, allocated or waited for under it.
#include "cache/fills.hpp"

#include "cache/stats.hpp"
#include "pg/clock.hpp"
#include "pg/guc_cache.hpp"
#include "pg/hooks.hpp"
#include "pg/locked.hpp"

#include <algorithm>

extern "C" {
#include "storage/condition_variable.h"
#include "storage/proc.h"
#include "utils/wait_event.h"
}

namespace wc::cache::fills {

namespace {

struct Seat {
    Digest digest;
    uint64 number; // of the fill: another one in this seat is not what somebody waits for
    ConditionVariable over;
};

struct Board {
    LWLock *lock;
    int seats;
    uint64 fills;
    uint64 busy[FLEXIBLE_ARRAY_MEMBER]; // of each seat the first bytes of the digest; 0: it is free
};

Board *board = nullptr; // null: there is no cache
Seat *seats = nullptr;

// This session's turn: at which depth of subtransactions it was taken. 0: it has none.
int own_level = 0;

Size seats_offset() {
    return MAXALIGN(offsetof(Board, busy) + sizeof(uint64) * static_cast<Size>(MaxBackends));
}

Size size() {
    return add_size(seats_offset(), mul_size(sizeof(Seat), static_cast<Size>(MaxBackends)));
}

void start(void *memory, LWLock *lock, bool fresh) {
    board = static_cast<Board *>(memory);
    seats = reinterpret_cast<Seat *>(static_cast<char *>(memory) + seats_offset());
    if (!fresh)
        return;
    memset(memory, 0, size());
    board->lock = lock;
    board->seats = MaxBackends;
    for (int i = 0; i < board->seats; ++i)
        ConditionVariableInit(&seats[i].over);
}

// What stands for a digest among the busy seats; never 0.
uint64 head_of(const Digest &digest) {
    uint64 head;
    memcpy(&head, digest.bytes.data(), sizeof head);
    return head | 1;
}

// The ones below need the lock.

// Who computes this one; -1: nobody.
int filler(const Digest &digest, uint64 head) {
    for (int i = 0; i < board->seats; ++i)
        if (board->busy[i] == head && seats[i].digest == digest)
            return i;
    return -1;
}

bool goes_on(int seat, uint64 number) {
    return board->busy[seat] != 0 && seats[seat].number == number;
}

// Plain server code. Whether the fill was over before the time was.
bool wait_for(int seat, uint64 number, int64 until_ms) {
    ConditionVariable &over = seats[seat].over;
    bool is_over = false;
    ConditionVariablePrepareToSleep(&over);
    for (;;) {
        LWLockAcquire(board->lock, LW_SHARED);
        is_over = !goes_on(seat, number);
        LWLockRelease(board->lock);
        const int64 left = until_ms - pg::clock::milliseconds();
        if (is_over || left <= 0)
            break;
        (void)ConditionVariableTimedSleep(&over, static_cast<long>(left), PG_WAIT_EXTENSION);
    }
    ConditionVariableCancelSleep();
    return is_over;
}

void transaction_ended(XactEvent) {
    end_turn();
}

// Of a fill in this subtransaction, or in one below it that was given up with it.
void subtransaction_aborted() {
    if (own_level >= GetCurrentTransactionNestLevel())
        end_turn();
}

} // namespace

Turn take_turn(const Digest &digest) {
    // A process of the server's own that is no backend has no seat; and a session has one only.
    const auto own = static_cast<int>(MyProc - ProcGlobal->allProcs);
    if (board == nullptr || own_level != 0 || own >= board->seats)
        return Turn::Alone;
    const uint64 head = head_of(digest);
    const int level = GetCurrentTransactionNestLevel();
    int other = -1;
    uint64 number = 0;
    {
        const pg::Locked locked(board->lock);
        other = filler(digest, head);
        if (other >= 0) {
            number = seats[other].number;
        } else {
            seats[own].digest = digest;
            seats[own].number = ++board->fills;
            board->busy[own] = head;
        }
    }
    if (other < 0) {
        own_level = level;
        return Turn::Mine;
    }
    if (pg::settings::cache::wait == 0)
        return Turn::Alone;
    stats::count(stats::Counter::Waits);
    const int64 until = pg::clock::milliseconds() + pg::settings::cache::wait;
    return pg::call([=] { return wait_for(other, number, until); }) ? Turn::Waited : Turn::Alone;
}

void end_turn() noexcept {
    if (own_level == 0)
        return;
    own_level = 0;
    const auto own = static_cast<int>(MyProc - ProcGlobal->allProcs);
    {
        const pg::Locked locked(board->lock);
        board->busy[own] = 0;
    }
    ConditionVariableBroadcast(&seats[own].over);
}

int in_flight() noexcept {
    if (board == nullptr)
        return 0;
    const pg::Locked locked(board->lock, LW_SHARED);
    return static_cast<int>(
        std::count_if(board->busy, board->busy + board->seats, [](uint64 head) { return head != 0; }));
}

void init() {
    if (!pg::hooks::server_is_starting() || pg::settings::cache::entries == 0 || IsBinaryUpgrade)
        return;
    pg::hooks::shared_memory({"whitecross cache fills", size, start});
    pg::hooks::at_transaction_end(transaction_ended);
    pg::hooks::at_subtransaction_abort(subtransaction_aborted);
}

} // namespace wc::cache::fills

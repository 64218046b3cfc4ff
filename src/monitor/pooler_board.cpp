// PgBouncer's pools in shared memory.
#include "monitor/pooler_board.hpp"

#include "pg/locked.hpp"

extern "C" {
#include "storage/lwlock.h"
}

namespace wc::monitor::pooler {

namespace {

struct Board {
    LWLock *lock;
    Copy content;
};

Board *board = nullptr;

Size board_size() {
    return sizeof(Board);
}

void start(void *memory, LWLock *lock, bool fresh) {
    board = static_cast<Board *>(memory);
    if (!fresh)
        return;
    memset(memory, 0, sizeof(Board));
    board->lock = lock;
}

} // namespace

void make_board() {
    static const pg::hooks::SharedMemory block = {"whitecross pooler", board_size, start};
    pg::hooks::shared_memory(block);
}

const State &state() {
    return board->content.state;
}

const core::pooler::Ledger &ledger() {
    return board->content.ledger;
}

void put(const State &state) {
    const pg::Locked locked(board->lock);
    board->content.state = state;
}

void put(const State &state, const core::pooler::Ledger &ledger) {
    const pg::Locked locked(board->lock);
    board->content.state = state;
    board->content.ledger = ledger;
}

std::unique_ptr<Copy> copy() {
    auto out = std::make_unique<Copy>();
    const pg::Locked locked(board->lock, LW_SHARED);
    *out = board->content;
    return out;
}

} // namespace wc::monitor::pooler

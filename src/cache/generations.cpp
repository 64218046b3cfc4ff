// The cells in shared memory: made, noted, compared, moved.
#include "cache/generations.hpp"

#include "cache/cells.hpp"
#include "cache/prepared.hpp"
#include "pg/guc_cache.hpp"
#include "pg/hooks.hpp"

namespace wc::cache::generations {

Board *board = nullptr;

namespace {

Size size() {
    return MAXALIGN(sizeof(Board)) + prepared::most_records() * sizeof(prepared::Record);
}

void start(void *block, LWLock *lock, bool fresh) {
    board = static_cast<Board *>(block);
    if (fresh) {
        board->lock = lock;
        pg_atomic_init_u64(&board->clock, 1);
        pg_atomic_init_u32(&board->ready, 0);
        pg_atomic_init_u32(&board->records, 0);
        pg_atomic_init_u64(&board->endings, 0);
        for (Cell &cell : board->cell) {
            pg_atomic_init_u64(&cell.generation, 1);
            pg_atomic_init_u32(&cell.marks, 0);
        }
    }
    prepared::start(reinterpret_cast<prepared::Record *>(static_cast<char *>(block) + MAXALIGN(sizeof(Board))), fresh);
}

// The cell's generation, or 0 where it is marked.
uint64 settled(uint32 cell) {
    Cell &each = board->cell[cell];
    if (pg_atomic_read_u32(&each.marks) != 0)
        return 0;
    pg_read_barrier();
    return pg_atomic_read_u64(&each.generation);
}

} // namespace

uint64 moment() noexcept {
    if (board == nullptr)
        return 0;
    const uint64 now = pg_atomic_read_u64(&board->clock);
    pg_memory_barrier(); // what the caller reads next is read after this
    return now;
}

uint32 cell_of(Oid database, Oid relation) noexcept {
    return table_cell(database, relation);
}

uint32 rules_cell(Oid database) noexcept {
    return database_cell(rules_cells, database);
}

uint32 names_cell(Oid database) noexcept {
    return database_cell(names_cells, database);
}

uint32 everything_cell() noexcept {
    return everything;
}

bool note(uint32 cell, uint64 since, Dependency &out) noexcept {
    if (board == nullptr)
        return false;
    const uint64 generation = settled(cell);
    out = {cell, generation};
    return generation != 0 && generation <= since;
}

bool unchanged(const Dependency *noted, size_t count) noexcept {
    if (board == nullptr)
        return false;
    for (size_t i = 0; i < count; ++i)
        if (settled(noted[i].cell) != noted[i].generation)
            return false;
    return true;
}

void mark(uint32 cell) noexcept {
    pg_atomic_fetch_add_u32(&board->cell[cell].marks, 1);
}

void unmark(uint32 cell) noexcept {
    pg_atomic_fetch_sub_u32(&board->cell[cell].marks, 1);
}

// Never back: of two that move a cell at once the later must win, or a result that was noted between them would seem to
// have seen both.
void move(uint32 cell) noexcept {
    if (board == nullptr)
        return;
    const uint64 now = pg_atomic_add_fetch_u64(&board->clock, 1);
    pg_atomic_uint64 *generation = &board->cell[cell].generation;
    uint64 seen = pg_atomic_read_u64(generation);
    while (seen < now && !pg_atomic_compare_exchange_u64(generation, &seen, now)) {
    }
}

bool usable() {
    if (board == nullptr || RecoveryInProgress())
        return false;
    if (pg_atomic_read_u32(&board->ready) == 0)
        prepared::rebuild();
    if (pg_atomic_read_u32(&board->records) > 0)
        prepared::settle();
    return true;
}

uint32 held_by_prepared() noexcept {
    return board != nullptr ? pg_atomic_read_u32(&board->records) : 0;
}

void init() {
    if (!pg::hooks::server_is_starting() || pg::settings::cache::entries == 0 || IsBinaryUpgrade)
        return;
    pg::hooks::shared_memory({block_name, size, start});
    follow_writers();
}

} // namespace wc::cache::generations

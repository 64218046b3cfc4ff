// The records of prepared transactions.
#include "cache/prepared.hpp"

#include "cache/cells.hpp"
#include "pg/compat.hpp"
#include "pg/guard.hpp"
#include "pg/locked.hpp"

#include <algorithm>

extern "C" {
#include "access/transam.h"
#include "access/twophase.h"
}

namespace wc::cache::generations {

namespace prepared {

namespace {

// As many as may ever be in use, but for those of transactions that are over and that nobody has asked for since.
Record *records = nullptr;

// This session's, between the moment before it is prepared and that after.
Record *own = nullptr;

// One look-up in the cache asks for so many of them, lest one of many hundreds be slow.
constexpr uint32 most_looks = 8;

// Who ends a prepared transaction says so. Should a way to end one be unknown here, it is found out after so many.
constexpr uint32 calls_between_looks = 64;

Record *first_free() {
    for (Size i = 0; i < most_records(); ++i)
        if (!TransactionIdIsValid(records[i].transaction))
            return &records[i];
    return nullptr;
}

// Under the lock.
void take(Record *record, TransactionId transaction, const CellList &marked) {
    record->transaction = transaction;
    record->marked.count = marked.count;
    std::copy_n(marked.cell, marked.count, record->marked.cell);
    pg_atomic_fetch_add_u32(&board->records, 1);
}

// A prepared transaction sends its invalidation messages after it is visible, and gives its locks back after that. So
// it is over when the lock that everyone has on his own transaction is free. Plain server code.
bool is_over(TransactionId transaction) {
    return !TransactionIdEquals(transaction, GetTopTransactionIdIfAny()) && pg::compat::is_over(transaction);
}

// Frees the record, if nobody else has meanwhile.
void release(Record *record, TransactionId transaction, bool moves) {
    const pg::Locked alone(board->lock);
    if (!TransactionIdEquals(record->transaction, transaction))
        return;
    CellList &marked = record->marked;
    for (uint32 i = 0; moves && i < marked.count; ++i)
        move(marked.cell[i]);
    while (marked.count > 0)
        unmark(marked.cell[--marked.count]);
    record->transaction = InvalidTransactionId;
    pg_atomic_fetch_sub_u32(&board->records, 1);
}

TransactionId of(const Record &record) {
    const pg::Locked shared(board->lock, LW_SHARED);
    return record.transaction;
}

void settle_one(Record *record) {
    const TransactionId transaction = of(*record);
    if (!TransactionIdIsValid(transaction) || !is_over(transaction))
        return;
    release(record, transaction, pg::compat::committed(transaction));
}

// Plain server code.
void settle_all() {
    for (Size i = 0; i < most_records(); ++i)
        if (pg_atomic_read_u32(&board->records) > 0)
            settle_one(&records[i]);
}

// What a transaction that was prepared before the start has marked.
struct Recovered {
    TransactionId transaction;
    CellList marked;
    bool of_a_database;
};

void add(CellList &list, uint32 cell) {
    for (uint32 i = 0; i < list.count; ++i)
        if (list.cell[i] == cell)
            return;
    if (list.count < CellList::most - 1)
        list.cell[list.count++] = cell;
    else if (list.count == CellList::most - 1)
        list.cell[list.count++] = everything_cell();
}

// What it has changed in the catalogue only its messages say, which nobody reads before they are sent: so whatever
// names and functions of its database mean is marked too.
void add_database(Recovered &of, Oid database) {
    of.of_a_database = of.of_a_database || OidIsValid(database);
    add(of.marked, names_cell(database));
    add(of.marked, rules_cell(database));
}

void add_lock(Recovered &of, const LOCKTAG &tag) {
    switch (tag.locktag_type) {
    case LOCKTAG_RELATION:
        add_database(of, tag.locktag_field1);
        add(of.marked, cell_of(tag.locktag_field1, tag.locktag_field2));
        break;
    case LOCKTAG_OBJECT:
        add_database(of, tag.locktag_field1);
        break;
    default:
        break;
    }
}

std::vector<Recovered> recovered_transactions() {
    std::vector<Recovered> found;
    const LockData *all = pg::call([] { return GetLockStatusData(); });
    for (int i = 0; i < all->nelements; ++i) {
        const LockInstanceData &each = all->locks[i];
        const TransactionId transaction = pg::compat::prepared_before_start(each);
        if (!TransactionIdIsValid(transaction))
            continue;
        auto at = std::find_if(found.begin(), found.end(),
                               [=](const Recovered &one) { return one.transaction == transaction; });
        if (at == found.end()) {
            found.push_back({transaction, {}, false});
            at = found.end() - 1;
            add_database(*at, InvalidOid);
        }
        add_lock(*at, each.locktag);
    }
    for (Recovered &each : found)
        if (!each.of_a_database)
            add(each.marked, everything_cell());
    return found;
}

// Under the lock. Without a record its marks stay for ever, which is slow and not wrong.
void enter(const Recovered &each) {
    for (uint32 i = 0; i < each.marked.count; ++i)
        mark(each.marked.cell[i]);
    if (Record *record = first_free(); record != nullptr)
        take(record, each.transaction, each.marked);
}

} // namespace

Size most_records() {
    return max_prepared_xacts > 0 ? static_cast<Size>(max_prepared_xacts) + static_cast<Size>(MaxBackends) : 0;
}

void start(Record *block, bool fresh) {
    records = block;
    for (Size i = 0; fresh && i < most_records(); ++i)
        records[i] = {};
}

void keep(TransactionId transaction, const CellList &marked) {
    // Without room for prepared transactions the server refuses this one in a moment.
    if (most_records() == 0) {
        for (uint32 i = 0; i < marked.count; ++i)
            unmark(marked.cell[i]);
        return;
    }
    for (int attempt = 0; attempt < 10; ++attempt) {
        {
            const pg::Locked alone(board->lock);
            own = first_free();
            if (own != nullptr) {
                take(own, transaction, marked);
                return;
            }
        }
        settle_all(); // records of what is over stay until somebody asks for them
    }
    ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                    errmsg("the result cache has no room for another prepared transaction"),
                    errhint("Raise max_prepared_transactions.")));
}

void kept(bool too_late) noexcept {
    Record *record = std::exchange(own, nullptr);
    if (record == nullptr || !too_late)
        return;
    const pg::Locked alone(board->lock);
    mark(everything_cell());
    if (record->marked.count == CellList::most)
        unmark(record->marked.cell[--record->marked.count]);
    record->marked.cell[record->marked.count++] = everything_cell();
}

// The record stays: what failed may have failed after it was prepared. Who asks next finds out.
bool dropped() noexcept {
    return std::exchange(own, nullptr) != nullptr;
}

void ended() noexcept {
    if (pg_atomic_read_u32(&board->records) > 0)
        pg_atomic_fetch_add_u64(&board->endings, 1);
}

void settle() {
    static constinit uint64 endings = 0; // when this session began to look for the last time
    static constinit uint32 calls = 0;
    static constinit Size place = 0;  // where it goes on; 0: it looked at all
    static constinit uint32 used = 0; // of the records, so far
    if (place == 0) {
        const uint64 now = pg_atomic_read_u64(&board->endings);
        if (now == endings && ++calls % calls_between_looks != 0)
            return;
        endings = now;
        used = 0;
    }
    for (uint32 looks = 0; looks < most_looks; ++looks) {
        while (place < most_records() && !TransactionIdIsValid(records[place].transaction))
            ++place;
        if (place == most_records() || used >= pg_atomic_read_u32(&board->records)) {
            place = 0;
            return;
        }
        Record *record = &records[place++];
        pg::call([=] { settle_one(record); });
        if (TransactionIdIsValid(record->transaction))
            ++used;
    }
}

void rebuild() {
    const std::vector<Recovered> found = recovered_transactions();
    const pg::Locked alone(board->lock);
    if (pg_atomic_read_u32(&board->ready) != 0)
        return;
    for (const Recovered &each : found)
        enter(each);
    // On a standby that has become a primary nothing has moved while it replayed.
    for (uint32 i = 0; i < cells; ++i)
        move(i);
    pg_memory_barrier();
    pg_atomic_write_u32(&board->ready, 1);
}

} // namespace prepared

} // namespace wc::cache::generations

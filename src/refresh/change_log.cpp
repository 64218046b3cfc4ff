// Writing the change log.
//
// A transaction that touches a key again notes it once: what it has noted stands in a set, as long as the same
// subtransaction goes on. Another subtransaction may be rolled back by itself, and what it noted with it, so it begins
// with an empty set.
#include "refresh/change_log.hpp"

#include "pg/compat.hpp"

extern "C" {
#include "access/tableam.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "utils/array.h"
#include "utils/hsearch.h"
#include "utils/xid8.h"
}

namespace wc::refresh {

namespace {

// A statement that touches more keys than this counts as one that changes the whole table: a view would be recomputed
// as a whole anyway, and the writer's memory has a bound.
constexpr int most_keys = 100000;

// A set that has grown beyond this is begun anew: notes may then repeat.
constexpr long most_remembered = 2L * most_keys;

// Rows that are put into the table at once.
constexpr int batch = 200;

constexpr int columns = 5;

struct Noted {
    const char *table;     // one pointer for each name
    const ArrayType *keys; // null: the whole table
};

uint32 hash_noted(const void *key, Size) {
    const auto *noted = static_cast<const Noted *>(key);
    const uint32 table = hash_bytes(reinterpret_cast<const unsigned char *>(&noted->table), sizeof(noted->table));
    if (noted->keys == nullptr)
        return table;
    return hash_combine(table, hash_bytes(reinterpret_cast<const unsigned char *>(noted->keys),
                                          static_cast<int>(VARSIZE(noted->keys))));
}

int compare_noted(const void *left, const void *right, Size) {
    const auto *a = static_cast<const Noted *>(left);
    const auto *b = static_cast<const Noted *>(right);
    if (a->table != b->table || (a->keys == nullptr) != (b->keys == nullptr))
        return 1;
    if (a->keys == nullptr)
        return 0;
    return VARSIZE(a->keys) == VARSIZE(b->keys) ? memcmp(a->keys, b->keys, VARSIZE(a->keys)) : 1;
}

// What this backend's transaction has noted.
struct Transaction {
    FullTransactionId xid = {0};
    SubTransactionId subtransaction = InvalidSubTransactionId;
    MemoryContext memory = nullptr; // goes with the transaction
    HTAB *noted = nullptr;
    int32 next_seq = 0;
};
Transaction transaction;

ChangeNoted listener = nullptr;

void empty_set() {
    MemoryContextReset(transaction.memory);
    HASHCTL control = {};
    control.keysize = sizeof(Noted);
    control.entrysize = sizeof(Noted);
    control.hash = hash_noted;
    control.match = compare_noted;
    control.hcxt = transaction.memory;
    transaction.noted =
        hash_create("whitecross changes", 64, &control, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

// Assigns a transaction id: only where there is something to note.
void enter_subtransaction() {
    const FullTransactionId xid = GetTopFullTransactionId();
    const SubTransactionId subtransaction = GetCurrentSubTransactionId();
    if (!FullTransactionIdEquals(xid, transaction.xid)) {
        transaction = {};
        transaction.xid = xid;
    }
    if (transaction.memory == nullptr)
        transaction.memory = AllocSetContextCreate(TopTransactionContext, "whitecross changes", ALLOCSET_SMALL_SIZES);
    if (subtransaction == transaction.subtransaction && hash_get_num_entries(transaction.noted) < most_remembered)
        return;
    transaction.subtransaction = InvalidSubTransactionId; // if memory runs out in between
    empty_set();
    transaction.subtransaction = subtransaction;
}

// The same pointer for the same name, for the life of the process: there are few names.
const char *interned(const char *name) {
    struct Name {
        Name *next;
        char text[FLEXIBLE_ARRAY_MEMBER];
    };
    static Name *names = nullptr;
    for (Name *known = names; known != nullptr; known = known->next)
        if (strcmp(known->text, name) == 0)
            return known->text;
    const size_t length = strlen(name) + 1;
    auto *added = static_cast<Name *>(MemoryContextAlloc(TopMemoryContext, offsetof(Name, text) + length));
    memcpy(added->text, name, length);
    added->next = names;
    names = added;
    return added->text;
}

// An open log with what inserting into it needs.
struct Log {
    Relation relation;
    EState *estate;
    ResultRelInfo *target;
};

Log open_log(Oid relid) {
    Log log = {};
    log.relation = table_open(relid, RowExclusiveLock);
    log.estate = CreateExecutorState();
    log.target = makeNode(ResultRelInfo);
    InitResultRelInfo(log.target, log.relation, 0, nullptr, 0);
    ExecOpenIndices(log.target, false);
    return log;
}

void close_log(const Log &log) {
    ExecCloseIndices(log.target);
    FreeExecutorState(log.estate);
    table_close(log.relation, NoLock);
}

void fill(TupleTableSlot *slot, Datum table, const ArrayType *keys, Datum noted_at) {
    ExecClearTuple(slot);
    slot->tts_values[0] = FullTransactionIdGetDatum(transaction.xid);
    slot->tts_values[1] = Int32GetDatum(transaction.next_seq++);
    slot->tts_values[2] = table;
    slot->tts_values[3] = PointerGetDatum(keys);
    slot->tts_values[4] = noted_at;
    memset(slot->tts_isnull, 0, columns);
    slot->tts_isnull[3] = keys == nullptr;
    ExecStoreVirtualTuple(slot);
}

void insert(const Log &log, Datum table, const ArrayType *const *keys, int count) {
    const Datum now = TimestampTzGetDatum(GetCurrentTimestamp());
    const CommandId command = GetCurrentCommandId(true);
    const int slots_used = count < batch ? count : batch;
    auto **slots = static_cast<TupleTableSlot **>(palloc(sizeof(TupleTableSlot *) * slots_used));
    for (int i = 0; i < slots_used; ++i)
        slots[i] = MakeSingleTupleTableSlot(RelationGetDescr(log.relation), table_slot_callbacks(log.relation));
    for (int done = 0; done < count;) {
        CHECK_FOR_INTERRUPTS();
        const int rows = count - done < slots_used ? count - done : slots_used;
        for (int i = 0; i < rows; ++i)
            fill(slots[i], table, keys[done + i], now);
        if (rows == 1)
            table_tuple_insert(log.relation, slots[0], command, 0, nullptr);
        else
            table_multi_insert(log.relation, slots, rows, command, 0, nullptr);
        for (int i = 0; i < rows; ++i) {
            pg::compat::insert_index_entries(log.target, slots[i], log.estate);
            ResetPerTupleExprContext(log.estate);
        }
        done += rows;
    }
    for (int i = 0; i < slots_used; ++i)
        ExecDropSingleTupleTableSlot(slots[i]);
}

} // namespace

Notes::Notes(const char *table) : table_(interned(table)) {}

void Notes::begin() {
    if (begun_)
        return;
    enter_subtransaction();
    begun_ = true;
    const Noted everything = {table_, nullptr};
    known_ = hash_search(transaction.noted, &everything, HASH_FIND, nullptr) != nullptr;
}

void Notes::add(Datum *values, bool *nulls, int count) {
    begin();
    if (whole_ || known_)
        return;
    int dimensions[1] = {count};
    int lower_bounds[1] = {1};
    ArrayType *keys = construct_md_array(values, nulls, count == 0 ? 0 : 1, dimensions, lower_bounds, TEXTOID, -1,
                                         false, TYPALIGN_INT);
    Noted note = {table_, keys};
    if (hash_search(transaction.noted, &note, HASH_FIND, nullptr) != nullptr) {
        pfree(keys);
        return;
    }
    if (count_ >= most_keys) {
        whole_table();
        return;
    }
    if (count_ == room_) {
        room_ = room_ == 0 ? 16 : 2 * room_;
        auto *grown = static_cast<ArrayType **>(MemoryContextAlloc(transaction.memory, sizeof(ArrayType *) * room_));
        if (count_ > 0)
            memcpy(grown, keys_, sizeof(ArrayType *) * count_);
        keys_ = grown;
    }
    auto *kept = static_cast<ArrayType *>(MemoryContextAlloc(transaction.memory, VARSIZE(keys)));
    memcpy(kept, keys, VARSIZE(keys));
    pfree(keys);
    note.keys = kept;
    hash_search(transaction.noted, &note, HASH_ENTER, nullptr);
    keys_[count_++] = kept;
}

void Notes::whole_table() {
    begin();
    whole_ = true;
}

void Notes::write(Oid schema) {
    static const ArrayType *const everything[] = {nullptr};
    const ArrayType *const *keys = keys_;
    int count = count_;
    if (whole_) {
        const Noted note = {table_, nullptr};
        hash_search(transaction.noted, &note, HASH_ENTER, nullptr);
        keys = everything;
        count = known_ ? 0 : 1;
    }
    if (count == 0)
        return;
    const Oid relid = get_relname_relid("wc_change", schema);
    if (!OidIsValid(relid)) // nothing consumes changes then
        return;
    const Log log = open_log(relid);
    insert(log, CStringGetTextDatum(table_), keys, count);
    close_log(log);
    if (listener != nullptr)
        listener();
}

void on_change_noted(ChangeNoted registered) {
    listener = registered;
}

} // namespace wc::refresh

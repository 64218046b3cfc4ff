// The server's lock tables, read for one's own part in them.
#include "pg/own_locks.hpp"

#include "pg/compat.hpp"
#include "pg/locked.hpp"

extern "C" {
#include "storage/lwlock.h"
#include "storage/proc.h"
}

namespace wc::pg::own_locks {

namespace {

constexpr LOCKMASK writers = LOCKBIT_ON(RowExclusiveLock) | LOCKBIT_ON(ShareRowExclusiveLock) |
                             LOCKBIT_ON(ExclusiveLock) | LOCKBIT_ON(AccessExclusiveLock);

struct List {
    Held *held;
    size_t most;
    size_t count = 0;
    void add(Oid database, Oid relation) {
        if (count < most)
            held[count] = {database, relation};
        ++count;
    }
};

// Locks that are weak enough not to be in the table that all sessions share; of those of writers, ROW EXCLUSIVE.
void add_fast_path(List &list) {
    const Locked kept_in_place(&MyProc->fpInfoLock, LW_SHARED);
    for (int slot = 0; slot < compat::fast_path_slots(); ++slot)
        if (compat::fast_path_holds(slot, RowExclusiveLock))
            list.add(MyDatabaseId, MyProc->fpRelId[slot]);
}

void add_lock(List &list, const PROCLOCK *mine) {
    const LOCKTAG &tag = mine->tag.myLock->tag;
    if (tag.locktag_type == LOCKTAG_RELATION && tag.locktag_lockmethodid == DEFAULT_LOCKMETHOD &&
        (mine->holdMask & writers) != 0)
        list.add(tag.locktag_field1, tag.locktag_field2);
}

} // namespace

size_t of_writers(Held *held, size_t most) noexcept {
    List list = {held, most};
    // In this order: another session may move a lock of ours from the first place to the second, never back. So a list
    // of the second that is found empty has nothing in it that was not found in the first.
    add_fast_path(list);
    for (int partition = 0; partition < NUM_LOCK_PARTITIONS; ++partition) {
        if (compat::holds_no_lock(partition))
            continue;
        const Locked kept_in_place(LockHashPartitionLockByIndex(partition), LW_SHARED);
        compat::each_own_lock(
            partition, [](const PROCLOCK *mine, void *to) { add_lock(*static_cast<List *>(to), mine); }, &list);
    }
    return list.count;
}

} // namespace wc::pg::own_locks

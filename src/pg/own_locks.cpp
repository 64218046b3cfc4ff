// The server's lock tables, read for one's own part in them.
#include "pg/own_locks.hpp"

#include "pg/compat.hpp"
#include "pg/locked.hpp"

#include <algorithm>
#include <array>

extern "C" {
#include "port/pg_bitutils.h"
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
    std::array<Oid, 256> relations;
    int count = 0;
    {
        const Locked kept_in_place(&MyProc->fpInfoLock, LW_SHARED);
        count = compat::fast_path_row_exclusive(relations.data(), static_cast<int>(relations.size()));
    }
    const auto listed = std::min(static_cast<size_t>(count), relations.size());
    for (size_t i = 0; i < listed; ++i)
        list.add(MyDatabaseId, relations[i]);
    if (listed < static_cast<size_t>(count))
        list.count = std::max(list.count, list.most) + 1; // more than anybody asks for
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
    for (uint32 left = compat::partitions_with_own_locks(); left != 0; left &= left - 1) {
        const int partition = pg_rightmost_one_pos32(left);
        const Locked kept_in_place(LockHashPartitionLockByIndex(partition), LW_SHARED);
        compat::each_own_lock(
            partition, [](const PROCLOCK *mine, void *to) { add_lock(*static_cast<List *>(to), mine); }, &list);
    }
    return list.count;
}

} // namespace wc::pg::own_locks

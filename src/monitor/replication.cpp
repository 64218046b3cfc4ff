// How far whoever follows the write-ahead log is behind.
#include "monitor/replication.hpp"

#include "pg/compat.hpp"

#include <algorithm>

extern "C" {
#include "access/xlogrecovery.h"
#include "replication/slot.h"
#include "replication/walreceiver.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/lwlock.h"
#include "storage/procarray.h"
#include "storage/spin.h"
}

namespace wc::monitor {

namespace {

struct Follower {
    pid_t pid;
    XLogRecPtr at;
};

// The followers that are connected. Not those that only take a base backup.
std::vector<Follower> connected() {
    std::vector<Follower> found;
    found.reserve(max_wal_senders);
    for (int i = 0; i < max_wal_senders; ++i) {
        WalSnd *const sender = &WalSndCtl->walsnds[i];
        SpinLockAcquire(&sender->mutex);
        const pid_t pid = sender->pid;
        const WalSndState state = sender->state;
        const XLogRecPtr flush = sender->flush;
        const XLogRecPtr apply = sender->apply;
        SpinLockRelease(&sender->mutex);
        // One that only keeps the log applies nothing; one that has just come has not said where it is.
        const XLogRecPtr at = !XLogRecPtrIsInvalid(apply) ? apply : flush;
        if (pid != 0 && (state == WALSNDSTATE_STREAMING || state == WALSNDSTATE_CATCHUP) && !XLogRecPtrIsInvalid(at))
            found.push_back({pid, at});
    }
    return found;
}

std::string application_name_of(pid_t pid) {
    char name[NAMEDATALEN] = "";
    const PGPROC *const process = BackendPidGetProc(pid);
    if (const PgBackendStatus *const status = process != nullptr ? pg::compat::backend_status(process) : nullptr)
        strlcpy(name, status->st_appname, sizeof name);
    return name[0] != '\0' ? name : "pid " + std::to_string(pid);
}

struct Slot {
    NameData name;
    XLogRecPtr at;
};

// The slots that nobody is connected to: the log is kept for them.
std::vector<Slot> waiting_slots() {
    std::vector<Slot> found(max_replication_slots);
    size_t count = 0;
    LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
    for (int i = 0; i < max_replication_slots; ++i) {
        ReplicationSlot *const slot = &ReplicationSlotCtl->replication_slots[i];
        if (!slot->in_use)
            continue;
        SpinLockAcquire(&slot->mutex);
        const bool waits = slot->active_pid == 0 && slot->data.persistency == RS_PERSISTENT;
        const XLogRecPtr at = slot->data.database != InvalidOid ? slot->data.confirmed_flush : slot->data.restart_lsn;
        const NameData name = slot->data.name;
        SpinLockRelease(&slot->mutex);
        if (waits && !XLogRecPtrIsInvalid(at))
            found[count++] = {name, at};
    }
    LWLockRelease(ReplicationSlotControlLock);
    found.resize(count);
    return found;
}

} // namespace

// Of this server, as a standby: of what it has received and not replayed, the oldest; of one that has lost its primary,
// since it was last seen to have one.
int64 Replication::own_lag(int64 now) {
    const bool lost = PrimaryConnInfo != nullptr && *PrimaryConnInfo != '\0' && !WalRcvStreaming();
    if (!lost || streamed_at_ == 0)
        streamed_at_ = now;
    return std::max(now - streamed_at_, log_.since_above(now, GetXLogReplayRecPtr(nullptr)));
}

std::vector<Lag> Replication::look(int64 now) {
    const bool standby = RecoveryInProgress();
    log_.add(now, standby ? GetWalRcvFlushRecPtr(nullptr, nullptr) : GetFlushRecPtr(nullptr));
    std::map<std::string, double> lags; // followers may share a name: the one that is furthest behind counts
    const auto add = [&lags](const std::string &subject, double seconds) {
        lags[subject] = std::max(lags[subject], seconds);
    };
    for (const Follower &follower : connected())
        add(application_name_of(follower.pid), static_cast<double>(log_.since_above(now, follower.at)) / 1000);
    for (const Slot &slot : waiting_slots())
        add(std::string("slot ") + NameStr(slot.name), static_cast<double>(log_.since_above(now, slot.at)) / 1000);
    if (standby)
        add("standby", static_cast<double>(own_lag(now)) / 1000);
    std::vector<Lag> found;
    for (const auto &[subject, seconds] : lags)
        found.push_back({subject, seconds});
    return found;
}

} // namespace wc::monitor

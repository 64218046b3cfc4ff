// Changes of pg_cron's jobs that wait for the end of the caller's transaction.
//
// A session is connected to one database for life, so a worker changes the jobs in another. It does so in two steps,
// that nothing may be scheduled by a transaction that rolls back, nor an error be found when it is too late to tell:
//   before the caller commits, the worker makes the change over there, leaves its transaction open and says so;
//   then it waits until the caller's transaction has ended, looks how, and ends its own likewise.
// Should the server stop between the two, the caller's commit stands and the jobs are as before: wc_health_check() and
// wc_schedule() then see it and mend it.
#include "refresh/cron_elsewhere.hpp"

#include "pg/guc.hpp"
#include "pg/membership.hpp"
#include "pg/transaction.hpp"

#include <algorithm>
#include <cstring>

extern "C" {
#include "access/transam.h"
#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "mb/pg_wchar.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "tcop/tcopprot.h"
#include "utils/resowner.h"
WC_EXPORT void wc_cron_worker(Datum argument);
}

namespace wc::refresh::cron {

namespace {

// What the caller and its worker share.
struct Shared {
    enum State : uint32 { working, ready, failed };
    pg_atomic_uint32 state;
    TransactionId transaction; // the caller's
    pid_t caller;
    int lock_timeout;
    char database[NAMEDATALEN]; // of pg_cron
    int sqlstate;               // failed: the error
    char message[512];
    char detail[512];
    char hint[512];
    Size length;
    char changes[FLEXIBLE_ARRAY_MEMBER];
};

// A change, or a look whether the extension is gone, with the subtransaction that asked for it.
struct Pending {
    SubTransactionId subtransaction;
    Change change;
    Oid extension = InvalidOid; // valid: only if this one is gone
};

std::vector<Pending> *pending = nullptr; // of this backend's transaction; no static object with a destructor

bool extension_exists(Oid extension) {
    return pg::call([=] { return get_extension_name(extension) != nullptr; });
}

std::string this_database() {
    const char *name = pg::call([] { return get_database_name(MyDatabaseId); });
    if (name == nullptr)
        throw pg::Error(ERRCODE_UNDEFINED_DATABASE, "this database does not exist any more");
    return name;
}

// Starts the worker and returns when it is ready to commit with us. Throws the error it met.
void prepare_elsewhere(const std::string &database, const std::vector<Change> &changes) {
    const std::string bytes = pack(changes);
    const char *const content = bytes.data();
    const Size length = bytes.size();
    const char *const database_name = database.c_str();

    dsm_segment *const segment = pg::call([=] {
        dsm_segment *made = dsm_create(offsetof(Shared, changes) + length, 0);
        auto *shared = static_cast<Shared *>(dsm_segment_address(made));
        memset(shared, 0, offsetof(Shared, changes));
        pg_atomic_init_u32(&shared->state, Shared::working);
        shared->transaction = GetTopTransactionId();
        shared->caller = MyProcPid;
        shared->lock_timeout = pg::settings::lock_timeout;
        strlcpy(shared->database, database_name, sizeof(shared->database));
        shared->length = length;
        memcpy(shared->changes, content, length);
        return made;
    });
    auto *const shared = static_cast<Shared *>(dsm_segment_address(segment));

    // When anything below throws, the transaction ends: it takes the segment along, and the worker rolls back.
    BackgroundWorkerHandle *const handle = pg::call([=] {
        BackgroundWorker worker;
        memset(&worker, 0, sizeof(worker));
        worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
        worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
        worker.bgw_restart_time = BGW_NEVER_RESTART;
        strlcpy(worker.bgw_library_name, "whitecross", sizeof(worker.bgw_library_name));
        strlcpy(worker.bgw_function_name, "wc_cron_worker", sizeof(worker.bgw_function_name));
        strlcpy(worker.bgw_name, "whitecross schedule", sizeof(worker.bgw_name));
        strlcpy(worker.bgw_type, "whitecross schedule", sizeof(worker.bgw_type));
        worker.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(segment));
        worker.bgw_notify_pid = MyProcPid;
        BackgroundWorkerHandle *started = nullptr;
        return RegisterDynamicBackgroundWorker(&worker, &started) ? started : nullptr;
    });
    if (handle == nullptr)
        throw pg::Error(ERRCODE_INSUFFICIENT_RESOURCES, "could not start a worker to change the jobs of pg_cron",
                        "The jobs are in database \"" + database +
                            "\", which needs a background worker, and no slot for one is free.",
                        "Try again when other workers have ended, or raise max_worker_processes.");

    const auto state = [=] { return pg_atomic_read_u32(&shared->state); };
    try {
        while (state() == Shared::working) {
            const bool stopped = pg::call([=] {
                pid_t pid = 0;
                return GetBackgroundWorkerPid(handle, &pid) == BGWH_STOPPED;
            });
            if (stopped && state() == Shared::working)
                throw pg::Error(ERRCODE_CONNECTION_FAILURE, "the worker that changes the jobs of pg_cron has stopped",
                                "It was to work in database \"" + database + "\".", "The server's log says why.");
            if (stopped)
                break;
            pg::call([] {
                (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, -1, PG_WAIT_EXTENSION);
                ResetLatch(MyLatch);
                CHECK_FOR_INTERRUPTS();
            });
        }
    } catch (...) {
        TerminateBackgroundWorker(handle); // it may be waiting for a lock of ours; sends a signal, can't fail
        throw;
    }
    pg_memory_barrier();
    if (state() == Shared::failed) {
        // In the other database's encoding, which may not be ours.
        const auto readable = [](const char *text) {
            const bool valid = pg::call([=] { return pg_verifymbstr(text, static_cast<int>(strlen(text)), true); });
            return std::string(valid ? text : "");
        };
        const std::string message = readable(shared->message);
        throw pg::Error(shared->sqlstate, message.empty() ? "could not change the jobs of pg_cron" : message,
                        readable(shared->detail), readable(shared->hint));
    }
    pg::call([=] {
        pfree(handle);
        dsm_detach(segment);
    });
}

// In pg_cron's own database: now, in this transaction, whoever the caller is.
void remove_here(const Change &change) {
    const pg::UserScope superuser(BOOTSTRAP_SUPERUSERID, SECURITY_LOCAL_USERID_CHANGE);
    pg::SettingScope settings;
    settings.set("search_path", "pg_catalog, pg_temp");
    settings.set("lock_timeout", std::to_string(pg::settings::lock_timeout).c_str());
    pg::call([] { PushActiveSnapshot(GetTransactionSnapshot()); });
    {
        pg::Spi spi;
        (void)apply(spi, change);
    }
    pg::call([] { PopActiveSnapshot(); });
}

// Before the transaction commits or is prepared.
void finish(bool prepare) {
    if (pending == nullptr || pending->empty())
        return;
    const std::vector<Pending> asked = std::exchange(*pending, {});
    std::vector<Change> changes;
    for (const Pending &each : asked)
        // A new extension in place of the old one (DROP, then CREATE, in one transaction) takes the jobs over.
        if (!OidIsValid(each.extension) || (!extension_exists(each.extension) && !OidIsValid(pg::extension_oid())))
            changes.push_back(each.change);
    if (changes.empty())
        return;

    pg::call([] { PushActiveSnapshot(GetTransactionSnapshot()); });
    Scheduler scheduler;
    {
        pg::Spi spi;
        scheduler = find(spi);
    }
    pg::call([] { PopActiveSnapshot(); });
    switch (scheduler.place()) {
    case Place::absent: // only removals get here: what makes jobs has called require()
        return;
    case Place::here:
        for (const Change &change : changes)
            remove_here(change);
        return;
    case Place::elsewhere:
        break;
    }
    if (prepare)
        throw pg::Error(ERRCODE_FEATURE_NOT_SUPPORTED, "cannot prepare a transaction that changes jobs of pg_cron",
                        "The jobs are in database \"" + scheduler.database + "\".",
                        "Commit the transaction, or change the jobs in one of their own.");
    prepare_elsewhere(scheduler.database, changes);
}

void on_transaction(XactEvent event, void *) {
    switch (event) {
    case XACT_EVENT_PRE_COMMIT:
    case XACT_EVENT_PRE_PREPARE:
        pg::entry([event] { finish(event == XACT_EVENT_PRE_PREPARE); });
        break;
    case XACT_EVENT_COMMIT:
    case XACT_EVENT_ABORT:
    case XACT_EVENT_PREPARE:
        if (pending != nullptr)
            pending->clear();
        break;
    default:
        break;
    }
}

// Drops what a later change of the same subtransaction makes void, so that a transaction that asks a thousand times
// keeps one. Runs in callbacks too: moves entries, allocates nothing, can't fail.
void compact() {
    for (size_t later = pending->size(); later-- > 1;)
        for (size_t earlier = later; earlier-- > 0;) {
            Pending &new_one = (*pending)[later];
            Pending &old_one = (*pending)[earlier];
            const bool both_changes = !OidIsValid(new_one.extension) && !OidIsValid(old_one.extension);
            const auto kind = new_one.change.kind;
            const auto old_kind = old_one.change.kind;
            // Following makes void only another following; a new beginning after a removal needs it, to forget the
            // role.
            const bool makes_void = kind == Change::Kind::follow    ? old_kind == Change::Kind::follow
                                    : kind == Change::Kind::replace ? old_kind != Change::Kind::remove
                                                                    : true;
            if (old_one.subtransaction != new_one.subtransaction || !both_changes || !makes_void)
                break; // what lies further back stays too: order matters
            if (new_one.change.run_as.empty() && kind == Change::Kind::replace)
                new_one.change.run_as.swap(old_one.change.run_as); // "as before"
            pending->erase(pending->begin() + static_cast<std::ptrdiff_t>(earlier));
            --later;
        }
}

void on_subtransaction(SubXactEvent event, SubTransactionId own, SubTransactionId parent, void *) {
    if (pending == nullptr)
        return;
    if (event == SUBXACT_EVENT_ABORT_SUB)
        std::erase_if(*pending, [own](const Pending &each) { return each.subtransaction == own; });
    if (event == SUBXACT_EVENT_COMMIT_SUB) {
        for (Pending &each : *pending)
            if (each.subtransaction == own)
                each.subtransaction = parent;
        compact();
    }
}

void remember(Pending what) {
    if (pending == nullptr) {
        auto made = std::make_unique<std::vector<Pending>>();
        pg::call([] {
            RegisterXactCallback(on_transaction, nullptr);
            RegisterSubXactCallback(on_subtransaction, nullptr);
        });
        pending = made.release();
    }
    what.subtransaction = GetCurrentSubTransactionId();
    pending->push_back(std::move(what));
    compact();
}

} // namespace

void at_commit(const Change &change) {
    remember({InvalidSubTransactionId, change, InvalidOid});
}

void remove_when_gone(Oid extension) {
    const SubTransactionId current = GetCurrentSubTransactionId();
    if (pending != nullptr && std::any_of(pending->begin(), pending->end(), [&](const Pending &each) {
            return each.extension == extension && each.subtransaction == current;
        }))
        return; // one look is enough, however many commands there are
    Change change;
    change.kind = Change::Kind::remove;
    change.database = this_database();
    remember({InvalidSubTransactionId, change, extension});
}

namespace {

// Tells the caller how it went, and wakes it.
void tell(Shared *shared, Shared::State state) {
    pg_memory_barrier();
    pg_atomic_write_u32(&shared->state, state);
    pg::call([=] {
        PGPROC *caller = BackendPidGetProc(shared->caller);
        if (caller != nullptr)
            SetLatch(&caller->procLatch);
    });
}

void keep(char (&place)[512], const char *text) {
    if (text == nullptr)
        return;
    const int length = static_cast<int>(strlen(text));
    const int kept = pg_mbcliplen(text, length, sizeof(place) - 1);
    memcpy(place, text, kept);
    place[kept] = '\0';
}

// The worker's whole life.
void work(dsm_handle handle) {
    // A mapping that outlives transactions; without it there is no caller any more to work for.
    auto *const segment = pg::call([=] {
        CurrentResourceOwner = ResourceOwnerCreate(nullptr, "whitecross schedule");
        dsm_segment *attached = dsm_attach(handle);
        if (attached != nullptr)
            dsm_pin_mapping(attached);
        return attached;
    });
    if (segment == nullptr)
        return;
    auto *const shared = static_cast<Shared *>(dsm_segment_address(segment));
    const std::string milliseconds = std::to_string(shared->lock_timeout);
    const char *const lock_timeout = milliseconds.c_str();
    pg::call([=] {
        BackgroundWorkerInitializeConnection(shared->database, nullptr, BGWORKER_BYPASS_ALLOWCONN);
        SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_OVERRIDE);
        SetConfigOption("default_transaction_read_only", "off", PGC_USERSET, PGC_S_OVERRIDE);
        // Each statement must see what was committed while it waited for the change before it.
        SetConfigOption("default_transaction_isolation", "read committed", PGC_USERSET, PGC_S_OVERRIDE);
        SetConfigOption("lock_timeout", lock_timeout, PGC_USERSET, PGC_S_OVERRIDE);
    });
    try {
        pg::call([=] {
            StartTransactionCommand();
            PushActiveSnapshot(GetTransactionSnapshot());
            pg_verifymbstr(shared->changes, static_cast<int>(shared->length), false); // databases differ in encoding
        });
        pg::Spi spi;
        for (const Change &change : unpack({shared->changes, shared->length}))
            (void)apply(spi, change);
    } catch (const pg::Error &error) {
        shared->sqlstate = error.sqlstate();
        keep(shared->message, error.data().message);
        keep(shared->detail, error.data().detail);
        keep(shared->hint, error.data().hint);
        pg::call([] { AbortCurrentTransaction(); });
        tell(shared, Shared::failed);
        return;
    }
    pg::call([] {
        PopActiveSnapshot();
        SetConfigOption("lock_timeout", "0", PGC_USERSET, PGC_S_OVERRIDE);
    });
    // The caller lets go of the segment once it knows, so nothing of it is read after this.
    const TransactionId transaction = shared->transaction;
    tell(shared, Shared::ready);
    pg::call([=] {
        XactLockTableWait(transaction, nullptr, nullptr, XLTW_None);
        if (TransactionIdDidCommit(transaction))
            CommitTransactionCommand();
        else
            AbortCurrentTransaction();
    });
}

} // namespace

} // namespace wc::refresh::cron

extern "C" void wc_cron_worker(Datum argument) {
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
    wc::pg::entry([argument] { wc::refresh::cron::work(DatumGetUInt32(argument)); });
}

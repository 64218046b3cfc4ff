// Dynamic background workers.
#include "pg/worker.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/sinval.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/resowner.h"
#include "utils/wait_event.h"
}

namespace wc::pg {

struct Worker::Handle {
    BackgroundWorkerHandle *worker; // null: not registered
};

namespace {

BackgroundWorker describe(const Program &program, On on = On::Primary) {
    BackgroundWorker worker = {};
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = on == On::StandbyToo ? BgWorkerStart_ConsistentState : BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = BGW_NEVER_RESTART;
    strlcpy(worker.bgw_library_name, "$libdir/whitecross", sizeof(worker.bgw_library_name));
    strlcpy(worker.bgw_function_name, program.entry, sizeof(worker.bgw_function_name));
    strlcpy(worker.bgw_type, program.type, sizeof(worker.bgw_type));
    strlcpy(worker.bgw_name, program.name.c_str(), sizeof(worker.bgw_name));
    return worker;
}

// Runs when the starter lets go of the segment, in whatever way, the end of its process included.
void stop_at_detach(dsm_segment *, Datum argument) {
    auto **worker = reinterpret_cast<BackgroundWorkerHandle **>(DatumGetPointer(argument));
    if (*worker != nullptr) {
        TerminateBackgroundWorker(*worker); // of no effect on one that is gone
        pfree(*worker);
    }
    pfree(worker);
}

BgwHandleStatus status(BackgroundWorkerHandle *worker, pid_t *pid) {
    return call([=] { return GetBackgroundWorkerPid(worker, pid); });
}

} // namespace

std::unique_ptr<Worker> Worker::start(const Program &program, const void *arguments, size_t size) {
    struct Started {
        dsm_segment *segment = nullptr;
        Handle *handle = nullptr;
    };
    BackgroundWorker worker = describe(program);
    worker.bgw_notify_pid = MyProcPid;
    BackgroundWorker *const description = &worker;

    const Started started = call([=] {
        Started out;
        dsm_segment *segment = dsm_create(size, DSM_CREATE_NULL_IF_MAXSEGMENTS);
        if (segment == nullptr)
            return out;
        memcpy(dsm_segment_address(segment), arguments, size);
        // What the callback needs must survive the transaction's memory.
        auto *handle = static_cast<Handle *>(MemoryContextAllocZero(TopMemoryContext, sizeof(Handle)));
        on_dsm_detach(segment, stop_at_detach, PointerGetDatum(handle));
        description->bgw_main_arg = UInt32GetDatum(dsm_segment_handle(segment));
        MemoryContext const caller = MemoryContextSwitchTo(TopMemoryContext);
        const bool registered = RegisterDynamicBackgroundWorker(description, &handle->worker);
        MemoryContextSwitchTo(caller);
        if (!registered) {
            handle->worker = nullptr;
            dsm_detach(segment); // frees the handle
            return out;
        }
        out.segment = segment;
        out.handle = handle;
        return out;
    });
    if (started.segment == nullptr)
        return nullptr;
    try {
        return std::unique_ptr<Worker>(new Worker(started.segment, started.handle));
    } catch (...) {
        dsm_detach(started.segment);
        throw;
    }
}

Worker::~Worker() {
    // A cancel while it waits is no reason to stay: the worker has been told to stop, and a session that is being ended
    // leaves from here.
    try {
        if (running()) {
            stop();
            while (running())
                wait(1000);
        }
    } catch (const std::exception &) {
        stop();
    }
    dsm_detach(segment_);
}

bool Worker::running() const {
    pid_t pid;
    const BgwHandleStatus now = status(handle_->worker, &pid);
    return now == BGWH_STARTED || now == BGWH_NOT_YET_STARTED;
}

int Worker::pid() const {
    pid_t pid = 0;
    return status(handle_->worker, &pid) == BGWH_STARTED ? pid : 0;
}

void *Worker::memory() const {
    return dsm_segment_address(segment_);
}

void Worker::stop() noexcept {
    TerminateBackgroundWorker(handle_->worker);
}

namespace {

void wake_process(int pid) {
    call([=] {
        PGPROC *process = BackendPidGetProc(pid);
        if (process != nullptr)
            SetLatch(&process->procLatch);
    });
}

} // namespace

void Worker::wake() {
    wake_process(pid());
}

void Worker::wait(long milliseconds) {
    call([=] {
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds, PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    });
}

std::optional<FreeWorker> FreeWorker::start(const Program &program, Datum argument, On on) {
    BackgroundWorker worker = describe(program, on);
    worker.bgw_notify_pid = MyProcPid;
    worker.bgw_main_arg = argument;
    BackgroundWorker *const description = &worker;
    BackgroundWorkerHandle *handle = call([=] {
        BackgroundWorkerHandle *out = nullptr;
        MemoryContext const caller = MemoryContextSwitchTo(TopMemoryContext);
        const bool registered = RegisterDynamicBackgroundWorker(description, &out);
        MemoryContextSwitchTo(caller);
        return registered ? out : nullptr;
    });
    if (handle == nullptr)
        return {};
    return FreeWorker(handle);
}

bool FreeWorker::running() const {
    pid_t pid;
    const BgwHandleStatus now = status(handle_, &pid);
    return now == BGWH_STARTED || now == BGWH_NOT_YET_STARTED;
}

void FreeWorker::stop() noexcept {
    if (handle_ != nullptr)
        TerminateBackgroundWorker(handle_);
}

void FreeWorker::forget() {
    if (handle_ != nullptr)
        pfree(std::exchange(handle_, nullptr));
}

void register_static_worker(const Program &program, On on) {
    BackgroundWorker worker = describe(program, on);
    worker.bgw_restart_time = 5;
    BackgroundWorker *const description = &worker;
    call([=] { RegisterBackgroundWorker(description); });
}

Awoken sleep_idle(long milliseconds, const Awaited &awaited) {
    return call([&] {
        Awoken awoken;
        const int until = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (milliseconds < 0 ? 0 : WL_TIMEOUT) |
                          (awaited.socket == PGINVALID_SOCKET ? 0 : awaited.events);
        const int came = WaitLatchOrSocket(MyLatch, until, awaited.socket, milliseconds, PG_WAIT_EXTENSION);
        awoken.by_latch = (came & WL_LATCH_SET) != 0;
        awoken.by_socket = (came & WL_SOCKET_MASK) != 0;
        if (awoken.by_latch) // one that is set only now is for the next time
            ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
        if (catchupInterruptPending)
            ProcessCatchupInterrupt();
        if (ConfigReloadPending) {
            ConfigReloadPending = false;
            ProcessConfigFile(PGC_SIGHUP);
            awoken.reloaded = true;
        }
        return awoken;
    });
}

namespace {

volatile sig_atomic_t stop_was_requested = 0;
volatile sig_atomic_t finishing = 0;

extern "C" void handle_stop(SIGNAL_ARGS) {
    const int saved = errno;
    if (stop_was_requested != 0) {
        die(postgres_signal_arg);
    } else {
        stop_was_requested = 1;
        if (finishing == 0)
            StatementCancelHandler(postgres_signal_arg);
    }
    errno = saved;
}

} // namespace

WorkerProcess::WorkerProcess() {
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    pqsignal(SIGTERM, handle_stop);
    BackgroundWorkerUnblockSignals();
}

WorkerProcess::WorkerProcess(Datum argument) {
    pqsignal(SIGTERM, handle_stop);
    BackgroundWorkerUnblockSignals();
    segment_ = call([=] { return dsm_attach(DatumGetUInt32(argument)); });
}

void *WorkerProcess::memory() const {
    return segment_ == nullptr ? nullptr : dsm_segment_address(segment_);
}

void WorkerProcess::connect(Oid database) {
    call([=] {
        BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
        SetConfigOption("application_name", MyBgworkerEntry->bgw_name, PGC_USERSET, PGC_S_SESSION);
    });
}

void WorkerProcess::tell_starter() {
    wake_process(MyBgworkerEntry->bgw_notify_pid);
}

void WorkerProcess::wait() {
    call([] {
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, -1, PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
        if (stop_was_requested == 0) // which cancels what runs: nothing does
            CHECK_FOR_INTERRUPTS();
    });
}

bool WorkerProcess::stop_requested() {
    return stop_was_requested != 0;
}

void WorkerProcess::finish() {
    finishing = 1;
    QueryCancelPending = false;
}

void WorkerProcess::go_on() {
    finishing = 0;
}

ActiveSnapshot::ActiveSnapshot() : exceptions_(std::uncaught_exceptions()) {
    call([] { PushActiveSnapshot(GetTransactionSnapshot()); });
}

ActiveSnapshot::~ActiveSnapshot() {
    if (std::uncaught_exceptions() == exceptions_)
        PopActiveSnapshot();
}

namespace {

std::vector<int> blockers(int pid) {
    ArrayType *array =
        call([=] { return DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids, Int32GetDatum(pid))); });
    const int *first = reinterpret_cast<const int *>(ARR_DATA_PTR(array));
    std::vector<int> pids(first, first + (ARR_NDIM(array) == 0 ? 0 : ARR_DIMS(array)[0]));
    pfree(array);
    return pids;
}

} // namespace

bool waits_for_this_session(int pid) {
    std::set<int> seen = {pid};
    std::vector<int> open = {pid};
    while (!open.empty()) {
        const int next = open.back();
        open.pop_back();
        for (const int blocker : blockers(next)) {
            if (blocker == MyProcPid)
                return true;
            if (blocker != 0 && seen.insert(blocker).second) // 0: a prepared transaction
                open.push_back(blocker);
        }
    }
    return false;
}

} // namespace wc::pg

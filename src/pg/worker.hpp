// Dynamic background workers: started with arguments in shared memory, stopped when what started them goes.
// Nothing of a worker outlives its starter: the object's end, an error, the end of the transaction and the end of the
// session (a FATAL error, which runs no destructor) all stop it.
#pragma once

#include "pg/guard.hpp"

extern "C" {
struct BackgroundWorkerHandle;
struct dsm_segment;
}

namespace wc::pg {

// What a background worker runs and is called.
struct Program {
    const char *entry; // the C function of this library that it runs
    const char *type;  // pg_stat_activity.backend_type
    std::string name;  // its application_name
};

// In the session that starts it.
class Worker {
  public:
    using Program = pg::Program;

    // Registers a worker with a copy of the arguments in shared memory, which both sides may read and write.
    // Returns nothing where no slot for a worker, or no shared memory segment, is free. Throws Error.
    static std::unique_ptr<Worker> start(const Program &program, const void *arguments, size_t size);

    Worker(const Worker &) = delete;
    Worker &operator=(const Worker &) = delete;
    ~Worker(); // stops it, and waits until it is gone

    // False once the process is gone, or could not be started.
    [[nodiscard]] bool running() const;

    // Its process; 0 before it has started and after it is gone.
    [[nodiscard]] int pid() const;

    // The shared memory.
    [[nodiscard]] void *memory() const;

    // Asks it to stop and returns at once: see WorkerProcess::stop_requested.
    void stop() noexcept;

    // Wakes it from WorkerProcess::wait(): there is something for it in the shared memory.
    void wake();

    // Waits until a worker of this session starts or ends, or the time is over. Throws Error (cancel, shutdown).
    static void wait(long milliseconds);

  private:
    struct Handle; // plain memory that survives an error, freed with the segment
    Worker(dsm_segment *segment, Handle *handle) : segment_(segment), handle_(handle) {}
    dsm_segment *segment_;
    Handle *handle_;
};

// Where a worker runs: once the server can be written, or on a standby, as soon as it can be read.
enum class On { Primary, StandbyToo };

// A worker that outlives who started it.
class FreeWorker {
  public:
    // Nothing where no slot for a worker is free. Throws Error.
    static std::optional<FreeWorker> start(const Program &program, Datum argument, On on = On::Primary);
    // False once the process is gone, or could not be started. This process's latch is set when that changes.
    [[nodiscard]] bool running() const;
    // Asks it to stop: see WorkerProcess::stop_requested. One that has not begun yet doesn't begin.
    void stop() noexcept;
    // Forgets it; the worker goes on.
    void forget();

  private:
    explicit FreeWorker(BackgroundWorkerHandle *handle) : handle_(handle) {}
    BackgroundWorkerHandle *handle_;
};

// A worker that the server runs from its start, or its promotion, to its end, and starts again 5 seconds after it has
// failed. Only while the server loads the library.
void register_static_worker(const Program &program, On on = On::Primary);

// A socket to wait for besides.
struct Awaited {
    pgsocket socket = PGINVALID_SOCKET;
    int events = 0; // WL_SOCKET_READABLE, WL_SOCKET_WRITEABLE, WL_SOCKET_CONNECTED
};

// What a sleep ended with.
struct Awoken {
    bool by_latch = false;  // somebody wants something: a worker of this process has started or ended, say
    bool by_socket = false; //
    bool reloaded = false;  // the configuration was read again
};

// Sleeps until this process's latch is set, the socket is ready or the time is over (negative: however long that
// takes), and then sees to what a process that lives long has to between transactions: it takes in what others have
// changed in the catalogues, and reads the configuration again. Throws Error (cancel, shutdown).
Awoken sleep_idle(long milliseconds, const Awaited &awaited = {});

// In the worker: signal handlers, the shared memory, the connection. Make it first thing in the entry function.
// A first request to stop cancels what runs (57014), so that the worker can still say what became of it; a second one
// ends the process, as it would an ordinary session.
class WorkerProcess {
  public:
    explicit WorkerProcess(Datum argument);
    WorkerProcess(); // one that has no shared memory of its own

    // The shared memory; null where the starter is gone already.
    [[nodiscard]] void *memory() const;

    // Connects with no role, as the bootstrap superuser: the owner of a view need not be able to log in.
    void connect(Oid database);

    // Whether somebody asked it to stop.
    static bool stop_requested();

    // Wakes its starter from Worker::wait(): there is something for it in the shared memory.
    static void tell_starter();

    // Waits until its starter wakes it, or somebody asks it to stop; may return earlier. Throws Error (shutdown).
    static void wait();

    // From here on the first request to stop is only noted: the worker is about to end, and has something to write
    // down.
    static void finish();

    // It isn't about to end after all. Requests that came meanwhile stay noted.
    static void go_on();

  private:
    dsm_segment *segment_ = nullptr;
};

// Runs f in a transaction of its own: committed when f returns, rolled back when it throws.
// Returns the Error that f, or the commit, failed with, or nothing. Only where no transaction is open.
template <typename F> std::optional<Error> transaction(F &&f) {
    std::optional<Error> failure;
    std::exception_ptr foreign;
    try {
        call([] {
            SetCurrentStatementStartTimestamp();
            StartTransactionCommand();
        });
        f();
        call([] { CommitTransactionCommand(); });
    } catch (const Error &error) {
        failure = error;
    } catch (...) {
        foreign = std::current_exception();
    }
    if (failure || foreign)
        call([] { AbortCurrentTransaction(); });
    if (foreign)
        std::rethrow_exception(foreign);
    return failure;
}

// A fresh active snapshot for the life of the object: SQL in a worker's transaction needs one. When an exception
// passes, the (sub)transaction that it ends in takes it away.
class ActiveSnapshot {
  public:
    ActiveSnapshot();
    ActiveSnapshot(const ActiveSnapshot &) = delete;
    ActiveSnapshot &operator=(const ActiveSnapshot &) = delete;
    ~ActiveSnapshot();

  private:
    int exceptions_;
};

// Whether a process waits, however indirectly, for a lock that this session holds: a deadlock that the server doesn't
// see while this session waits for the process to end.
bool waits_for_this_session(int pid);

} // namespace wc::pg

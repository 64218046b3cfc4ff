// The server's hooks, chained.
#include "pg/hooks.hpp"

#include "pg/statement_hooks.hpp"

#include <array>

extern "C" {
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/resowner.h"
}

namespace wc::pg::hooks {

namespace {

// A list that needs no memory of its own: the library has no static initialisers that could fail.
template <typename T> struct Subscribers {
    std::array<T, 32> items = {};
    size_t count = 0;
    void add(T item) {
        if (count == items.size())
            throw Error(ERRCODE_PROGRAM_LIMIT_EXCEEDED, "too many subscribers of a hook");
        items[count++] = item;
    }
    const T *begin() const { return items.data(); }
    const T *end() const { return items.data() + count; }
};

constinit Subscribers<BeforeUtility> utility_subscribers;
constinit Subscribers<BeforeTransactionEnd> commit_subscribers;
constinit Subscribers<AtTransactionEnd> transaction_subscribers;
constinit Subscribers<AtSubtransactionAbort> subtransaction_subscribers;
constinit Subscribers<ResourcesReleased> release_subscribers;
constinit Subscribers<ErrorReported> error_subscribers;
constinit Subscribers<SharedMemory> blocks;

emit_log_hook_type next_emit_log = nullptr;
shmem_request_hook_type next_request = nullptr;
shmem_startup_hook_type next_startup = nullptr;

extern "C" WC_HOT void transaction_callback(XactEvent event, void *) {
    if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
        for (const auto before_end : commit_subscribers)
            before_end(event);
    if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
        return;
    for (const auto at_end : transaction_subscribers)
        at_end(event);
}

extern "C" WC_HOT void abort_callback(SubXactEvent event, SubTransactionId, SubTransactionId, void *) {
    if (event == SUBXACT_EVENT_ABORT_SUB)
        for (const auto at_abort : subtransaction_subscribers)
            at_abort();
}

extern "C" WC_HOT void release_callback(ResourceReleasePhase phase, bool committed, bool of_transaction, void *) {
    if (phase == RESOURCE_RELEASE_AFTER_LOCKS && of_transaction)
        for (const auto released : release_subscribers)
            released(committed);
}

extern "C" void emit_log(ErrorData *report) {
    for (const auto reported : error_subscribers)
        reported(*report);
    if (next_emit_log != nullptr)
        next_emit_log(report);
}

extern "C" void request_hook() {
    if (next_request != nullptr)
        next_request();
    for (const auto &block : blocks) {
        RequestAddinShmemSpace(block.size());
        RequestNamedLWLockTranche(block.name, 1);
    }
}

extern "C" void startup_hook() {
    if (next_startup != nullptr)
        next_startup();
    for (const auto &block : blocks) {
        LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
        bool found = false;
        void *memory = ShmemInitStruct(block.name, block.size(), &found);
        block.start(memory, &GetNamedLWLockTranche(block.name)->lock, !found);
        LWLockRelease(AddinShmemInitLock);
    }
}

} // namespace

void before_utility(BeforeUtility subscriber) {
    utility_subscribers.add(subscriber);
}

bool utility_is_announced() noexcept {
    return utility_subscribers.count > 0;
}

void announce_utility(Node *statement) {
    entry([=] {
        for (const auto before : utility_subscribers)
            before(statement);
    });
}

void before_transaction_end(BeforeTransactionEnd subscriber) {
    commit_subscribers.add(subscriber);
}

void at_transaction_end(AtTransactionEnd subscriber) {
    transaction_subscribers.add(subscriber);
}

void at_subtransaction_abort(AtSubtransactionAbort subscriber) {
    subtransaction_subscribers.add(subscriber);
}

void resources_released(ResourcesReleased subscriber) {
    release_subscribers.add(subscriber);
}

void error_reported(ErrorReported subscriber) {
    error_subscribers.add(subscriber);
}

void shared_memory(const SharedMemory &block) {
    blocks.add(block);
}

bool server_is_starting() {
    return process_shared_preload_libraries_in_progress;
}

void install() {
    install_statement_hooks();
    if (transaction_subscribers.count > 0 || commit_subscribers.count > 0)
        call([] { RegisterXactCallback(transaction_callback, nullptr); });
    if (subtransaction_subscribers.count > 0)
        call([] { RegisterSubXactCallback(abort_callback, nullptr); });
    if (release_subscribers.count > 0)
        call([] { RegisterResourceReleaseCallback(release_callback, nullptr); });
    if (error_subscribers.count > 0)
        next_emit_log = std::exchange(emit_log_hook, emit_log);
    if (blocks.count > 0) {
        next_request = std::exchange(shmem_request_hook, request_hook);
        next_startup = std::exchange(shmem_startup_hook, startup_hook);
    }
}

} // namespace wc::pg::hooks

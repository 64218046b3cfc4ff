// The databases that have the extension, in shared memory.
#include "monitor/registry.hpp"

#include "pg/claims.hpp"
#include "pg/locked.hpp"

#include <algorithm>
#include <array>

extern "C" {
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
}

namespace wc::monitor::registry {

namespace {

// Where sessions ask for more databases at once, all are looked through.
constexpr size_t most_asked = 64;

struct Board {
    LWLock *lock;
    pg_atomic_uint32 monitor; // number of its PGPROC plus one; 0: there is none
    bool survey;
    bool all; // there was no room for one that was asked for
    size_t asked_count;
    Oid asked[most_asked];
    int left_out;
    TimestampTz without_process;
    size_t count;
    Database databases[most];
};

Board *memory = nullptr;

Size size() {
    return sizeof(Board);
}

void start(void *block, LWLock *lock, bool fresh) {
    memory = static_cast<Board *>(block);
    if (!fresh)
        return;
    memset(block, 0, size());
    memory->lock = lock;
    pg_atomic_init_u32(&memory->monitor, 0);
}

// Needs the lock.
Database *place_of(Oid database) {
    Database *const end = memory->databases + memory->count;
    Database *const found =
        std::find_if(memory->databases, end, [=](const Database &each) { return each.oid == database; });
    return found == end ? nullptr : found;
}

// ---- Sessions.

// It may have gone meanwhile: then this wakes nobody, or whoever came after it, for nothing.
void wake_monitor() noexcept {
    const uint32 number = pg_atomic_read_u32(&memory->monitor);
    if (number != 0)
        SetLatch(&ProcGlobal->allProcs[number - 1].procLatch);
}

// database: to be looked at; InvalidOid: none. survey: the list of databases is to be read again, before.
void ask(Oid database, bool survey) noexcept {
    {
        const pg::Locked locked(memory->lock);
        Oid *const end = memory->asked + memory->asked_count;
        memory->survey = memory->survey || survey;
        if (OidIsValid(database) && std::find(memory->asked, end, database) == end) {
            if (memory->asked_count == most_asked)
                memory->all = true;
            else
                memory->asked[memory->asked_count++] = database;
        }
    }
    wake_monitor();
}

// What this transaction is to say once it has committed. Plain memory: nothing may fail then.
constinit bool databases_change = false;
constinit bool extension_changes = false;

void before(Node *statement) {
    switch (nodeTag(statement)) {
    case T_CreatedbStmt:
    case T_DropdbStmt:
    case T_AlterDatabaseStmt: // whether it allows connections, whether it is a template
        databases_change = true;
        break;
    case T_RenameStmt:
        if (reinterpret_cast<RenameStmt *>(statement)->renameType == OBJECT_DATABASE)
            databases_change = true;
        break;
    case T_CreateExtensionStmt:
        if (strcmp(reinterpret_cast<CreateExtensionStmt *>(statement)->extname, "whitecross") == 0)
            extension_changes = true;
        break;
    case T_TransactionStmt:
        // What the prepared transaction did is not known here.
        if (reinterpret_cast<TransactionStmt *>(statement)->kind == TRANS_STMT_COMMIT_PREPARED)
            extension_changes = true;
        break;
    default:
        break;
    }
}

WC_HOT void at_end(XactEvent event) {
    if (event == XACT_EVENT_COMMIT) {
        if (databases_change)
            ask(InvalidOid, true);
        if (extension_changes)
            ask(MyDatabaseId, false);
    }
    databases_change = extension_changes = false;
}

// Whoever claimed the database, or the extension in it, may have changed it; and what was not checked meanwhile is due.
bool give_way(Oid, pg::claims::Claim) {
    return true;
}

void free_again(Oid database) noexcept {
    ask(database, true);
}

} // namespace

void init() {
    pg::hooks::shared_memory({"whitecross databases", size, start});
    pg::hooks::before_utility(before);
    pg::hooks::at_transaction_end(at_end);
    pg::claims::subscribe({give_way, free_again});
}

std::vector<Oid> with_extension() {
    std::vector<Oid> out(most);
    size_t count = 0;
    if (memory != nullptr) {
        const pg::Locked locked(memory->lock, LW_SHARED);
        for (; count < memory->count; ++count)
            out[count] = memory->databases[count].oid;
    }
    out.resize(count);
    std::sort(out.begin(), out.end());
    return out;
}

std::optional<Database> find(Oid database) {
    if (memory == nullptr)
        return {};
    const pg::Locked locked(memory->lock, LW_SHARED);
    const Database *const found = place_of(database);
    return found == nullptr ? std::nullopt : std::optional(*found);
}

int left_out() {
    if (memory == nullptr)
        return 0;
    const pg::Locked locked(memory->lock, LW_SHARED);
    return memory->left_out;
}

TimestampTz without_process() {
    if (memory == nullptr)
        return 0;
    const pg::Locked locked(memory->lock, LW_SHARED);
    return memory->without_process;
}

void be_monitor() {
    pg_atomic_write_u32(&memory->monitor, static_cast<uint32>(MyProc - ProcGlobal->allProcs) + 1);
    pg::call([] { on_shmem_exit([](int, Datum) { pg_atomic_write_u32(&memory->monitor, 0); }, 0); });
}

Asked take_asked() {
    Asked out;
    out.databases.resize(most_asked);
    size_t count = 0;
    {
        const pg::Locked locked(memory->lock);
        out.survey = std::exchange(memory->survey, false);
        out.all = std::exchange(memory->all, false);
        count = std::exchange(memory->asked_count, 0);
        std::copy_n(memory->asked, count, out.databases.begin());
    }
    out.databases.resize(count);
    std::sort(out.databases.begin(), out.databases.end());
    return out;
}

bool put(const Database &database) {
    const pg::Locked locked(memory->lock);
    Database *place = place_of(database.oid);
    if (place == nullptr) {
        if (memory->count == most)
            return false;
        place = &memory->databases[memory->count++];
    }
    *place = database;
    return true;
}

void forget(Oid database) {
    const pg::Locked locked(memory->lock);
    Database *const place = place_of(database);
    if (place != nullptr)
        *place = memory->databases[--memory->count];
}

void note_left_out(int databases) {
    const pg::Locked locked(memory->lock);
    memory->left_out = databases;
}

void note_process(bool there) {
    const TimestampTz now = there ? 0 : GetCurrentTimestamp();
    const pg::Locked locked(memory->lock);
    if (there || memory->without_process == 0)
        memory->without_process = now;
}

} // namespace wc::monitor::registry

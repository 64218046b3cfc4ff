// Counting violations of constraints.
//
// Two regimes: note(), and what it calls, is plain server code that runs while an error is being reported, in whatever
// state that left the process; the rest is C++. The lock is a leaf: nothing is raised, allocated or waited for under
// it.
#include "observe/violations.hpp"

#include "core/minute_ring.hpp"
#include "observe/observe.hpp"
#include "pg/guc.hpp"
#include "pg/locked.hpp"
#include "pg/spi.hpp"

#include <algorithm>

extern "C" {
#include "access/parallel.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
}

namespace wc::observe::violations {

namespace {

// What the names of an entry are of.
enum class Form : int { None, Constraint, Column, Table, Domain };

struct Key {
    Oid database;
    Kind kind;
    Form form;
    char schema[NAMEDATALEN];
    char relation[NAMEDATALEN]; // or the domain
    char member[NAMEDATALEN];   // the constraint or the column
};

// The heads stand apart so that looking for one reads little memory.
struct Head {
    uint64 hash;           // of the key
    TimestampTz last_seen; // 0: the entry is free
};

struct Entry {
    Key key;
    TimestampTz since;
    uint64 total;
    core::MinuteRing minutes;
};

struct Board {
    LWLock *lock;
    int size;
    uint64 evicted;
    TimestampTz started_at;
    TimestampTz sum_evicted_at; // the last time that it hit the sum of a database; 0: never
    Head heads[FLEXIBLE_ARRAY_MEMBER];
    // Entries: size of them, behind the heads.
};

Board *board = nullptr;

Entry *entries() {
    return reinterpret_cast<Entry *>(reinterpret_cast<char *>(board) +
                                     MAXALIGN(offsetof(Board, heads) + sizeof(Head) * board->size));
}

Size board_size() {
    const auto size = static_cast<Size>(pg::settings::violations_max);
    return MAXALIGN(offsetof(Board, heads) + sizeof(Head) * size) + sizeof(Entry) * size;
}

void start(void *memory, LWLock *lock, bool fresh) {
    board = static_cast<Board *>(memory);
    if (!fresh)
        return;
    memset(memory, 0, board_size());
    board->lock = lock;
    board->size = pg::settings::violations_max;
    board->started_at = GetCurrentTimestamp();
}

int64 minute_of(TimestampTz at) {
    return std::max<int64>(at / USECS_PER_MINUTE, 0);
}

// ---- While an error is being reported: plain server code.

Kind kind_of(int sqlstate) {
    switch (sqlstate) {
    case ERRCODE_CHECK_VIOLATION:
        return Kind::Check;
    case ERRCODE_UNIQUE_VIOLATION:
        return Kind::Unique;
    case ERRCODE_FOREIGN_KEY_VIOLATION:
    case ERRCODE_RESTRICT_VIOLATION:
        return Kind::ForeignKey;
    case ERRCODE_NOT_NULL_VIOLATION:
        return Kind::NotNull;
    case ERRCODE_EXCLUSION_VIOLATION:
        return Kind::Exclusion;
    default:
        return Kind::Other;
    }
}

// Whether the names in an error are from the server's own checks of constraints. A procedural language lets a function
// give any text for them, a patient's name too; what it gives is not kept.
bool names_are_servers(const char *file) {
    static const char *const files[] = {"nbtinsert.c",      "execIndexing.c", "execMain.c",   "execPartition.c",
                                        "execExprInterp.c", "domains.c",      "tablecmds.c",  "typecmds.c",
                                        "tuplesort.c",      "ri_triggers.c",  "partbounds.c", "tuplesortvariants.c"};
    if (file == nullptr)
        return false;
    for (const char *each : files)
        if (strcmp(file, each) == 0)
            return true;
    return false;
}

void copy_name(char (&to)[NAMEDATALEN], const char *from) {
    strlcpy(to, from != nullptr ? from : "", NAMEDATALEN);
}

// All of the key's bytes are set: keys are compared as memory.
void make_key(Key &key, const ErrorData &report) {
    memset(&key, 0, sizeof(key));
    key.database = MyDatabaseId;
    key.kind = kind_of(report.sqlerrcode);
    key.form = Form::None;
    if (!names_are_servers(report.filename) || report.schema_name == nullptr)
        return;
    if (report.datatype_name != nullptr) {
        key.form = Form::Domain;
        copy_name(key.relation, report.datatype_name);
        copy_name(key.member, report.constraint_name);
    } else if (report.table_name == nullptr) {
        return;
    } else {
        key.form = report.constraint_name != nullptr ? Form::Constraint
                   : report.column_name != nullptr   ? Form::Column
                                                     : Form::Table;
        copy_name(key.relation, report.table_name);
        copy_name(key.member, report.constraint_name != nullptr ? report.constraint_name : report.column_name);
    }
    copy_name(key.schema, report.schema_name);
}

// FNV-1a.
uint64 hash_of(const Key &key) {
    uint64 hash = UINT64CONST(0xcbf29ce484222325);
    const auto *bytes = reinterpret_cast<const unsigned char *>(&key);
    for (size_t i = 0; i < sizeof(key); ++i)
        hash = (hash ^ bytes[i]) * UINT64CONST(0x100000001b3);
    return hash;
}

// The entry of a key; -1: there is none. With the lock.
int find(const Key &key, uint64 hash) {
    for (int i = 0; i < board->size; ++i)
        if (board->heads[i].last_seen != 0 && board->heads[i].hash == hash &&
            memcmp(&entries()[i].key, &key, sizeof(key)) == 0)
            return i;
    return -1;
}

// A free entry, or the one that was longest not seen. A sum was seen last whenever any of its constraints was: it goes
// after them.
int take() {
    int oldest = 0;
    for (int i = 0; i < board->size; ++i) {
        const TimestampTz seen = board->heads[i].last_seen;
        const TimestampTz best = board->heads[oldest].last_seen;
        if (seen == 0)
            return i;
        if (seen < best || (seen == best && entries()[oldest].key.kind == Kind::All))
            oldest = i;
    }
    board->evicted++;
    if (entries()[oldest].key.kind == Kind::All)
        board->sum_evicted_at = GetCurrentTimestamp();
    return oldest;
}

// The entry of a key, made where there is none. With the lock held exclusively.
Entry &find_or_take(const Key &key, TimestampTz now) {
    const uint64 hash = hash_of(key);
    int place = find(key, hash);
    if (place < 0) {
        place = take();
        Entry &entry = entries()[place];
        memset(&entry, 0, sizeof(entry));
        entry.key = key;
        entry.since = now;
        if (key.kind == Kind::All) // it lacks nothing that was before, but for what was evicted with another sum
            entry.since = std::max(board->started_at, board->sum_evicted_at);
        board->heads[place].hash = hash;
    }
    board->heads[place].last_seen = std::max(board->heads[place].last_seen, now);
    return entries()[place];
}

void add(const Key &key, TimestampTz now) {
    Entry &entry = find_or_take(key, now);
    entry.total++;
    core::count(entry.minutes, minute_of(now));
}

Key sum_key() {
    Key key;
    memset(&key, 0, sizeof(key));
    key.database = MyDatabaseId;
    key.kind = Kind::All;
    key.form = Form::None;
    return key;
}

void note(const ErrorData &report) noexcept {
    // A parallel worker's error is reported once more, by its leader. A process without a PGPROC can't wait for a lock.
    if ((report.elevel != ERROR && report.elevel != FATAL) ||
        ERRCODE_TO_CATEGORY(report.sqlerrcode) != ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION || board == nullptr ||
        MyProc == nullptr || !OidIsValid(MyDatabaseId) || IsParallelWorker())
        return;
    Key key;
    make_key(key, report);
    const TimestampTz now = GetCurrentTimestamp();
    const pg::Locked locked(board->lock);
    add(key, now);
    add(sum_key(), now);
}

// ---- For SQL.

// What is read of an entry under the lock: nothing may be allocated there.
struct Copy {
    Key key;
    uint64 last_hour;
    uint64 last_day;
    uint64 total;
    TimestampTz last_seen;
};

std::string constraint_text(const Key &key) {
    switch (key.form) {
    case Form::Constraint:
        return pg::quote_name(key.member);
    case Form::Column:
        return "not null: " + pg::quote_name(key.member);
    case Form::Table:
        return key.kind == Kind::Check ? "partition constraint" : "";
    case Form::Domain: {
        const std::string domain = "domain " + pg::quote_name(key.schema) + "." + pg::quote_name(key.relation) + ": ";
        return domain + (key.member[0] != '\0' ? pg::quote_name(key.member) : "not null");
    }
    case Form::None:
        break;
    }
    return "";
}

Violated violated(const Copy &copy) {
    Violated out;
    out.kind = copy.key.kind;
    if (copy.key.form == Form::Constraint || copy.key.form == Form::Column || copy.key.form == Form::Table)
        out.table = pg::quote_name(copy.key.schema) + "." + pg::quote_name(copy.key.relation);
    out.constraint = constraint_text(copy.key);
    out.last_hour = copy.last_hour;
    out.last_day = copy.last_day;
    out.total = copy.total;
    out.last_seen = copy.total > 0 ? copy.last_seen : 0;
    return out;
}

} // namespace

const char *name(Kind kind) {
    switch (kind) {
    case Kind::All:
        return "all";
    case Kind::Check:
        return "check";
    case Kind::Unique:
        return "unique";
    case Kind::ForeignKey:
        return "foreign key";
    case Kind::NotNull:
        return "not null";
    case Kind::Exclusion:
        return "exclusion";
    case Kind::Other:
        return "other";
    }
    return "";
}

void init() {
    static const pg::hooks::SharedMemory block = {"whitecross violations", board_size, start};
    if (!pg::hooks::server_is_starting())
        return;
    pg::hooks::shared_memory(block);
    pg::hooks::error_reported(note);
}

std::vector<Violated> list() {
    require_preloaded();
    std::vector<Copy> copies(board->size);
    size_t count = 0;
    {
        const pg::Locked locked(board->lock, LW_SHARED);
        const int64 now = minute_of(GetCurrentTimestamp());
        for (int i = 0; i < board->size; ++i) {
            const Entry &entry = entries()[i];
            if (board->heads[i].last_seen == 0 || entry.key.database != MyDatabaseId)
                continue;
            copies[count++] = {entry.key, core::total(entry.minutes, now, 60),
                               core::total(entry.minutes, now, core::MinuteRing::day), entry.total,
                               board->heads[i].last_seen};
        }
    }
    copies.resize(count);
    std::vector<Violated> found;
    if (std::none_of(copies.begin(), copies.end(), [](const Copy &copy) { return copy.key.kind == Kind::All; }))
        found.emplace_back();
    for (const Copy &copy : copies)
        found.push_back(violated(copy));
    std::sort(found.begin(), found.end(), [](const Violated &a, const Violated &b) {
        return std::tuple(a.kind != Kind::All, b.last_hour, b.last_day, b.total, a.table, a.constraint, a.kind) <
               std::tuple(b.kind != Kind::All, a.last_hour, a.last_day, a.total, b.table, b.constraint, b.kind);
    });
    return found;
}

std::vector<Sum> sums() {
    require_preloaded();
    std::vector<Sum> found(board->size);
    size_t count = 0;
    {
        const pg::Locked locked(board->lock, LW_SHARED);
        const int64 now = minute_of(GetCurrentTimestamp());
        for (int i = 0; i < board->size; ++i)
            if (const Entry &entry = entries()[i]; board->heads[i].last_seen != 0 && entry.key.kind == Kind::All)
                found[count++] = {entry.key.database, core::total(entry.minutes, now, 60)};
    }
    found.resize(count);
    return found;
}

const char *level(uint64 last_hour) {
    if (last_hour > static_cast<uint64>(pg::settings::violations_critical))
        return "critical";
    return last_hour > static_cast<uint64>(pg::settings::violations_warning) ? "warning" : "ok";
}

Info info() {
    require_preloaded();
    const Key key = sum_key();
    const uint64 hash = hash_of(key);
    const pg::Locked locked(board->lock, LW_SHARED);
    Info out;
    for (int i = 0; i < board->size; ++i)
        out.constraints += board->heads[i].last_seen != 0 && entries()[i].key.kind != Kind::All ? 1 : 0;
    const int sum = find(key, hash);
    out.most = board->size;
    out.evicted = board->evicted;
    out.since = sum >= 0 ? entries()[sum].since : std::max(board->started_at, board->sum_evicted_at);
    return out;
}

int reset() {
    require_preloaded();
    const Key key = sum_key();
    const pg::Locked locked(board->lock);
    const TimestampTz now = GetCurrentTimestamp();
    int forgotten = 0;
    for (int i = 0; i < board->size; ++i) {
        if (board->heads[i].last_seen == 0 || entries()[i].key.database != MyDatabaseId)
            continue;
        forgotten += entries()[i].key.kind != Kind::All ? 1 : 0;
        board->heads[i].last_seen = 0;
    }
    find_or_take(key, now).since = now; // remembers from when on it counts
    return forgotten;
}

} // namespace wc::observe::violations

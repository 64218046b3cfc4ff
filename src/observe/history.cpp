// Writing the history, and its bit of shared memory.
#include "observe/history.hpp"

#include "observe/history_folder.hpp"
#include "observe/history_memory.hpp"
#include "pg/hooks.hpp"

#include <algorithm>

extern "C" {
#include "port/atomics.h"
#include "storage/ipc.h"
}

namespace wc::observe::history {

namespace {

struct Board {
    uint64 run;               // see core::history::Hour
    pg_atomic_uint32 monitor; // its process; 0: none
    pg_atomic_uint64 written_at;
    pg_atomic_uint32 sqlstate;
    pg_atomic_uint64 unusable; // files, when the monitor looked into them last
};
constinit Board *board = nullptr;

Size size() {
    return sizeof(Board);
}

// At the end of the postmaster, when every session has told what it counted. After a crash memory isn't to be trusted:
// then what the monitor wrote last is what stays.
extern "C" void write_at_end(int code, Datum) {
    if (code != 0)
        return;
    char message[256] = {};
    try {
        Writer().write();
        return;
    } catch (const std::exception &problem) {
        strlcpy(message, problem.what(), sizeof(message));
    } catch (...) {
        strlcpy(message, "unknown exception", sizeof(message));
    }
    ereport(LOG, (errmsg("the query history of the last minute was not written: %s", message)));
}

void start(void *memory, LWLock *, bool fresh) {
    board = static_cast<Board *>(memory);
    if (fresh) {
        if (!pg_strong_random(&board->run, sizeof(board->run)))
            board->run = static_cast<uint64>(GetCurrentTimestamp());
        pg_atomic_init_u32(&board->monitor, 0);
        pg_atomic_init_u64(&board->written_at, 0);
        pg_atomic_init_u32(&board->sqlstate, 0);
        pg_atomic_init_u64(&board->unusable, 0);
    }
    if (!IsUnderPostmaster)
        on_shmem_exit(write_at_end, static_cast<Datum>(0));
}

extern "C" void monitor_ends(int, Datum) {
    pg_atomic_write_u32(&board->monitor, 0);
}

bool is_empty(const core::history::Hour &hour) {
    return hour.patterns.empty() && hour.other.calls == 0;
}

} // namespace

uint64 run_of_server() {
    return board->run;
}

void init() {
    pg::hooks::shared_memory({"whitecross query history", size, start});
}

void be_monitor() {
    pg::call([] { before_shmem_exit(monitor_ends, static_cast<Datum>(0)); });
    pg_atomic_write_u32(&board->monitor, static_cast<uint32>(MyProcPid));
}

void note_outcome(int sqlstate) noexcept {
    pg_atomic_write_u32(&board->sqlstate, static_cast<uint32>(sqlstate));
    if (sqlstate == 0)
        pg_atomic_write_u64(&board->written_at, static_cast<uint64>(GetCurrentTimestamp()));
}

void note_unusable(int64 files) noexcept {
    pg_atomic_write_u64(&board->unusable, static_cast<uint64>(files));
}

Outcome outcome() noexcept {
    return {pg_atomic_read_u32(&board->monitor) != 0, static_cast<TimestampTz>(pg_atomic_read_u64(&board->written_at)),
            static_cast<int>(pg_atomic_read_u32(&board->sqlstate)),
            static_cast<int64>(pg_atomic_read_u64(&board->unusable))};
}

// An hour that is over is written once more a round later, and then left as it is: what is evicted afterwards keeps its
// row, and files that later hours rely on for texts keep them.
void Writer::write() {
    const Snapshot memory = snapshot();
    const int64 latest = memory.latest();
    Texts texts;
    for (const Snapshot::Entry &entry : memory.entries)
        texts.emplace(entry.query_id, entry.text);
    for (const int64 hour : {latest - 1, latest})
        if (hour >= closed_)
            write_hour(memory.of(hour), texts);
    if (latest == latest_)
        closed_ = latest;
    latest_ = latest;
    written_.erase(written_.begin(), written_.lower_bound(latest - 1));
    known_.erase(known_.begin(), known_.lower_bound(core::history::day_of(latest - 1)));
}

void Writer::write_hour(const core::history::Hour &hour, const Texts &texts) {
    if (is_empty(hour))
        return;
    write_texts(hour, texts); // first: a row without its text is worse than a text without its row
    std::string bytes = core::history::encode(hour);
    std::string &before = written_[hour.hour];
    if (bytes == before)
        return;
    folder::write(core::history::file_name({hour.hour, hour.run, core::history::Kind::Totals}), bytes);
    before = std::move(bytes);
}

void Writer::write_texts(const core::history::Hour &hour, const Texts &texts) {
    std::set<uint64> &there = known(core::history::day_of(hour.hour));
    Texts missing;
    for (const core::history::Pattern &pattern : hour.patterns)
        if (!there.contains(pattern.query_id))
            if (const auto found = texts.find(pattern.query_id); found != texts.end() && !found->second.bytes.empty())
                missing.insert(*found);
    if (missing.empty())
        return;
    const std::string name = core::history::file_name({hour.hour, hour.run, core::history::Kind::Texts});
    core::history::Texts all{hour.hour, hour.run, {}};
    if (const auto bytes = folder::read(name))
        (void)core::history::decode(*bytes, hour.hour, hour.run, all); // a damaged one is replaced
    // Patterns that come and go in great number would let a file grow without limit: then only those that are there.
    constexpr size_t most_times = 4;
    if (all.texts.size() + missing.size() > most_times * std::max<size_t>(texts.size(), 1)) {
        std::erase_if(all.texts, [&](const auto &each) {
            const bool gone = !texts.contains(each.first);
            if (gone)
                there.erase(each.first);
            return gone;
        });
    }
    all.texts.insert(missing.begin(), missing.end());
    folder::write(name, core::history::encode(all));
    for (const auto &each : missing)
        there.insert(each.first);
}

// Of a day that this process has written nothing of yet, the files tell: of earlier runs, or of the monitor before it.
std::set<uint64> &Writer::known(int64 day) {
    if (const auto found = known_.find(day); found != known_.end())
        return found->second;
    std::set<uint64> ids;
    for (const folder::Entry &entry : folder::list()) {
        if (!entry.file || entry.file->kind != core::history::Kind::Texts ||
            core::history::day_of(entry.file->hour) != day)
            continue;
        core::history::Texts texts;
        if (const auto bytes = folder::read(entry.name))
            if (core::history::decode(*bytes, entry.file->hour, entry.file->run, texts) == core::history::Fault::None)
                for (const auto &each : texts.texts)
                    ids.insert(each.first);
    }
    return known_[day] = std::move(ids);
}

int64 oldest_hour() {
    return hour_of(GetCurrentTimestamp()) - static_cast<int64>(pg::settings::query_history_days) * HOURS_PER_DAY;
}

void prune() {
    const int64 first = oldest_hour();
    for (const folder::Entry &entry : folder::list()) {
        if (!entry.file || entry.file->kind == core::history::Kind::Connections)
            continue;
        // Texts serve the later hours of their day, too.
        const bool texts = entry.file->kind == core::history::Kind::Texts;
        const int64 needed_until = texts ? core::history::last_hour_of_day(entry.file->hour) : entry.file->hour;
        if (needed_until < first)
            folder::remove(entry.name);
    }
}

} // namespace wc::observe::history

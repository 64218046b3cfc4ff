// The history of statement patterns: totals by the hour, which outlive the server's memory. What memory holds (observe/
// hours.hpp) is written to files of the hour again and again, by the monitor and when the server stops; who reads adds
// up the files of all runs of the server, and takes this run's latest hours from memory.
#pragma once

#include "core/history_file.hpp"
#include "observe/hours.hpp"
#include "pg/duty.hpp"

namespace wc::observe::history {

// Called once, by the room's init(), while the server loads the library at its start.
void init();

// The run of the server: a number of its own each time that shared memory is made.
uint64 run_of_server();

// Writes what memory holds, where it differs from what was written. One process at a time: the monitor's, or the
// postmaster's at the end.
class Writer {
  public:
    // Throws Error where a file can't be written: what is there stays, and the next call tries again.
    void write();

  private:
    using Texts = std::map<uint64, core::history::Text>; // by query id
    void write_hour(const core::history::Hour &hour, const Texts &texts);
    void write_texts(const core::history::Hour &hour, const Texts &texts);
    std::set<uint64> &known(int64 day);

    std::map<int64, std::string> written_;    // by hour: the bytes of its file
    std::map<int64, std::set<uint64>> known_; // by day: of which patterns a file has the text
    int64 closed_ = 0;                        // hours before it are as they will stay
    int64 latest_ = 0;
};

// What the monitor does for it.
std::unique_ptr<pg::Duty> duty();

// The first hour that is kept, by whitecross.query_history_days.
int64 oldest_hour();

// Takes away the files of older hours. Throws Error.
void prune();

// Notes that this process is the monitor, until it ends.
void be_monitor();

// Notes how the last attempt to write went: 0, or an ERRCODE_ value.
void note_outcome(int sqlstate) noexcept;

// Notes how many files can't be used.
void note_unusable(int64 files) noexcept;

// What the monitor has noted. Reads no file.
struct Outcome {
    bool monitored;         // whether the monitor runs
    TimestampTz written_at; // 0: not yet, in this run
    int sqlstate;           // of the last attempt; 0: it went well
    int64 unusable;         // files, when it looked into them last: at its start, and in each hour
};
Outcome outcome() noexcept;

struct Row {
    int64 hour;
    const core::history::Pattern *pattern; // null: of those that were evicted or reset within the hour
    const core::history::Text *text;       // null: not known
    core::history::Totals totals;
};

// Every row from an hour on, in the order of hours, of the roles that sees() is true for; those of nobody where it is
// true for InvalidOid. Files that can't be used are left out, each with a WARNING. Throws Error.
void read(int64 from, const std::function<bool(Oid role)> &sees, const std::function<void(const Row &)> &take);

struct Status {
    int64 files;
    int64 unusable;
    int64 size_bytes;
    std::optional<int64> first_hour;
    std::optional<int64> last_hour;
};

// What is in the folder. Looks into each file; throws Error.
Status status();

} // namespace wc::observe::history

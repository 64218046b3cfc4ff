// The history of connections: the samples of the last days. The monitor writes them to files of the hour once a minute;
// what is in none yet is in shared memory, so that who reads has all to the latest sample. Private to the connections.
#pragma once

#include "core/connection_file.hpp"
#include "monitor/connections.hpp"

#include <chrono>

namespace wc::monitor::connections {

constexpr int history_days = 8;

// What puts samples into the history: one, in the monitor.
class Keeper {
  public:
    Keeper() = default;
    Keeper(const Keeper &) = delete;
    Keeper &operator=(const Keeper &) = delete;
    ~Keeper() = default;

    // Adds a sample, and writes what there is if it is time: where the next sample would leave something unwritten for
    // more than a minute, and where at_once. Throws Error where something can't be written, which stays in memory as
    // long as there is room; the sample itself is in.
    void add(Sample sample, std::chrono::milliseconds next, bool at_once);

  private:
    void put(const Sample &sample);
    void write();
    void open(int64 hour);
    void start_anew(int64 hour);

    core::connections::Encoder encoder_;
    std::chrono::steady_clock::time_point written_ = std::chrono::steady_clock::now();
};

// Gives the samples from a moment on to take(). Files that can't be used are left out, each with a WARNING. Throws
// Error. Only where the library is preloaded.
void read_history(TimestampTz since, const std::function<void(const Sample &)> &take);

// The first moment that is kept.
TimestampTz start_of_history();

struct HistoryStatus {
    TimestampTz sampled_at = 0; // the latest sample; 0: none yet, in this run
    TimestampTz written_at = 0; // 0: not yet, in this run
    int sqlstate = 0;           // of the last attempt to write; 0: it went well
    int64 lost = 0;             // samples, in this run
    int64 files = 0;
    int64 size_bytes = 0;
};

// Looks into no file. Throws Error.
HistoryStatus history_status();

} // namespace wc::monitor::connections

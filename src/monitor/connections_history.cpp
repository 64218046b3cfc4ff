// The history of connections: writing it, and reading it.
#include "monitor/connections_history.hpp"

#include "monitor/connections_pending.hpp"
#include "observe/history.hpp"
#include "observe/history_folder.hpp"
#include "observe/hours.hpp"

#include <algorithm>

namespace wc::monitor::connections {

using core::connections::Decoder;
using core::connections::Front;
using core::connections::Taken;
using core::history::Kind;
namespace folder = observe::history::folder;

namespace {

// All files together: twice what they need where a hundred connections change every 30 seconds. An hour's, which the
// monitor is writing, comes on top.
constexpr int64 largest_history = int64{64} * 1024 * 1024;
constexpr int64 hours_kept = history_days * int64{HOURS_PER_DAY};

std::string file_of(int64 hour) {
    return core::history::file_name({hour, observe::history::run_of_server(), Kind::Connections});
}

// By the clock of the histories, which tests set ahead.
TimestampTz by_clock(TimestampTz at) {
    return at + pg::settings::query_history_clock_offset * USECS_PER_SEC;
}

// The files of samples, in the order of hours.
std::vector<folder::Entry> files() {
    std::vector<folder::Entry> all = folder::list();
    std::erase_if(all, [](const folder::Entry &entry) { return !entry.file || entry.file->kind != Kind::Connections; });
    return all;
}

// Takes away what is too old, and the oldest of what is too much.
void prune(int64 present) {
    const auto all = files();
    int64 size = 0;
    for (const folder::Entry &entry : all)
        size += folder::size(entry.name);
    for (const folder::Entry &entry : all) {
        const bool written = entry.file->hour == present && entry.file->run == observe::history::run_of_server();
        if (written || (entry.file->hour >= present - hours_kept && size <= largest_history))
            continue;
        size -= folder::size(entry.name);
        folder::remove(entry.name);
    }
}

void warn(const std::string &name, std::string_view what) {
    folder::warn(name, what, "what follows is left out of the connection history");
}

// Reads a file as far as it can be; `most` bytes of it count. True where that is all of them. What a crash has left
// unfinished at its end is no fault.
bool read_file(const folder::Entry &entry, int64 most, Decoder &decoder, const Decoder::Take &take) {
    const std::optional<std::string> bytes = folder::read(entry.name, warn);
    if (!bytes)
        return false;
    const bool complete = static_cast<int64>(bytes->size()) >= most;
    std::string_view rest(*bytes);
    rest = rest.substr(0, static_cast<size_t>(most));
    while (!rest.empty()) {
        const Taken taken = core::connections::take_piece(rest, entry.file->hour, entry.file->run);
        if (taken.front == Front::Torn)
            return false;
        if (taken.front == Front::Fault) {
            warn(entry.name, core::history::describe(taken.fault));
            return false;
        }
        if (!decoder.decode(taken.records, take)) {
            warn(entry.name, core::history::describe(core::history::Fault::Damaged));
            return false;
        }
    }
    return complete;
}

} // namespace

void Keeper::add(Sample sample, std::chrono::milliseconds next, bool at_once) {
    sample.at = by_clock(sample.at);
    for (auto &each : sample.groups)
        if (each.second.oldest != 0)
            each.second.oldest = by_clock(each.second.oldest);
    const int64 hour = sample.at / USECS_PER_HOUR;
    if (hour != pending::hour()) {
        try {
            open(hour);
        } catch (const pg::Error &error) {
            // What can't be written stays with its hour for one more hour, and then makes room; at once where no room
            // is left in the file.
            if (!error.ends_statement()) {
                if (hour != pending::hour() + 1 || error.sqlstate() == ERRCODE_PROGRAM_LIMIT_EXCEEDED)
                    start_anew(hour);
                put(sample);
            }
            throw;
        }
    }
    put(sample);
    constexpr auto unwritten_most = std::chrono::minutes(1);
    if (at_once || std::chrono::steady_clock::now() + next - written_ > unwritten_most)
        write();
}

// Puts a sample with those that are to be written.
void Keeper::put(const Sample &sample) {
    const std::string records = encoder_.encode(sample);
    if (pending::add(records))
        return;
    std::optional<pg::Error> failure;
    try {
        write();
        if (pending::add(records))
            return;
    } catch (const pg::Error &error) {
        if (error.ends_statement())
            throw;
        failure = error;
    }
    start_anew(pending::hour());
    (void)pending::add(encoder_.encode(sample)); // there is room for any one sample
    if (failure)
        throw *failure;
}

void Keeper::write() {
    try {
        if (pending::write())
            pending::note_outcome(0);
        written_ = std::chrono::steady_clock::now();
    } catch (const pg::Error &error) {
        if (error.ends_statement())
            throw;
        pending::note_outcome(error.sqlstate());
        // Somebody has taken the file away: records that tell what differs from it are of no use.
        if (error.sqlstate() == ERRCODE_UNDEFINED_FILE || error.sqlstate() == ERRCODE_DATA_CORRUPTED)
            start_anew(pending::hour());
        throw;
    }
}

// Begins the file of another hour, or goes on with it where the clock was set back.
void Keeper::open(int64 hour) {
    write();
    start_anew(hour);
    prune(hour);
}

// Lets go what is not written, and goes on with the file of an hour behind what is whole of it.
void Keeper::start_anew(int64 hour) {
    pending::drop();
    encoder_.forget();
    int64 place = 0;
    try {
        if (const auto bytes = folder::read(file_of(hour)))
            place = static_cast<int64>(core::connections::whole(*bytes, hour, observe::history::run_of_server()));
    } catch (const pg::Error &error) {
        if (error.ends_statement())
            throw;
        pending::note_outcome(error.sqlstate()); // what can't be read is written anew
    }
    pending::begin(hour, place);
}

TimestampTz start_of_history() {
    return by_clock(GetCurrentTimestamp()) - history_days * USECS_PER_DAY;
}

void read_history(TimestampTz since, const std::function<void(const Sample &)> &take) {
    const pending::State memory = pending::copy();
    const auto take_since = [&](const Sample &sample) {
        pg::check_for_interrupts();
        if (sample.at >= since)
            take(sample);
    };
    // An hour's file may have samples of the next hour, that could not be written earlier.
    const int64 from = since / USECS_PER_HOUR - 1;
    const std::string present = file_of(memory.hour);
    Decoder latest;
    bool continues = memory.place == 0;
    for (const folder::Entry &entry : files()) {
        if (entry.name == present) {
            continues = memory.place == 0 || read_file(entry, memory.place, latest, take_since);
        } else if (entry.file->hour >= from) {
            Decoder decoder;
            (void)read_file(entry, folder::size(entry.name), decoder, take_since);
        }
    }
    if (!continues || !latest.decode(memory.records, take_since))
        warn(present, "is not what was written to it");
}

HistoryStatus history_status() {
    HistoryStatus status;
    if (const auto sample = latest())
        status.sampled_at = sample->at;
    const pending::Outcome outcome = pending::outcome();
    status.written_at = outcome.written_at;
    status.sqlstate = outcome.sqlstate;
    status.lost = outcome.lost;
    for (const folder::Entry &entry : files()) {
        status.files++;
        status.size_bytes += folder::size(entry.name);
    }
    return status;
}

} // namespace wc::monitor::connections

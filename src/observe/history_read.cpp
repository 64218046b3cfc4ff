// Reading the history: the files of every run, and the latest hours from memory.
#include "observe/history_folder.hpp"
#include "observe/history_memory.hpp"

#include <algorithm>

namespace wc::observe::history {

using core::history::Fault;
using core::history::Kind;
using core::history::Pattern;
using core::history::Totals;

namespace {

void warn(const std::string &name, std::string_view what) {
    folder::warn(name, what, "is left out of the query history");
}

void ignore(const std::string &, std::string_view) {}

// Reads a file into what it holds. false: it is gone, or can't be used, which problem is then told of.
template <typename Content> bool load(const folder::Entry &entry, Content &content, folder::Problem problem) {
    const std::optional<std::string> bytes = folder::read(entry.name, problem);
    if (!bytes)
        return false;
    const Fault fault = core::history::decode(*bytes, entry.file->hour, entry.file->run, content);
    if (fault != Fault::None)
        problem(entry.name, core::history::describe(fault));
    return fault == Fault::None;
}

// The texts of the patterns of one day, from all of its files.
class DayTexts {
  public:
    DayTexts(const std::vector<folder::Entry> &entries, const Snapshot &memory) : entries_(entries) {
        for (const Snapshot::Entry &entry : memory.entries)
            if (!entry.text.bytes.empty())
                present_.emplace(entry.query_id, &entry.text);
    }
    const core::history::Text *find(int64 hour, uint64 query_id) {
        if (const auto found = present_.find(query_id); found != present_.end())
            return found->second;
        open(core::history::day_of(hour));
        const auto found = texts_.find(query_id);
        return found == texts_.end() ? nullptr : &found->second;
    }

  private:
    void open(int64 day) {
        if (day_ == day)
            return;
        texts_.clear();
        day_ = day;
        for (const folder::Entry &entry : entries_) {
            if (!entry.file || entry.file->kind != Kind::Texts || core::history::day_of(entry.file->hour) != day)
                continue;
            pg::check_for_interrupts();
            core::history::Texts texts;
            if (load(entry, texts, warn))
                texts_.merge(texts.texts);
        }
    }

    const std::vector<folder::Entry> &entries_;
    std::map<uint64, const core::history::Text *> present_;
    std::optional<int64> day_;
    std::map<uint64, core::history::Text> texts_;
};

// One hour, added up over the runs of the server.
class Sum {
  public:
    void add(const core::history::Hour &hour) {
        other_.add(hour.other);
        for (const Pattern &pattern : hour.patterns) {
            const auto [place, is_new] =
                patterns_.try_emplace({pattern.database, pattern.role, pattern.query_id}, pattern);
            if (!is_new)
                place->second.totals.add(pattern.totals);
        }
    }
    void tell(int64 hour, const std::function<bool(Oid)> &sees, DayTexts &texts,
              const std::function<void(const Row &)> &take) const {
        for (const auto &[key, pattern] : patterns_)
            if (sees(pattern.role))
                take({hour, &pattern, texts.find(hour, pattern.query_id), pattern.totals});
        if (other_.calls > 0 && sees(InvalidOid))
            take({hour, nullptr, nullptr, other_});
    }

  private:
    std::map<std::tuple<Oid, Oid, uint64>, Pattern> patterns_;
    Totals other_;
};

} // namespace

void read(int64 from, const std::function<bool(Oid)> &sees, const std::function<void(const Row &)> &take) {
    const Snapshot memory = snapshot();
    const int64 in_memory = memory.latest() - 1; // from this hour on
    const auto entries = folder::list();
    std::map<int64, std::vector<const folder::Entry *>> files; // of totals, by hour
    for (const folder::Entry &entry : entries) {
        if (!entry.file) {
            warn(entry.name, "is no name of a file of the query history");
            continue;
        }
        // What this run has written of the hours that are in memory is older than memory.
        if (entry.file->kind == Kind::Totals && entry.file->hour >= from &&
            !(entry.file->run == memory.run && entry.file->hour >= in_memory))
            files[entry.file->hour].push_back(&entry);
    }
    for (const int64 hour : {in_memory, in_memory + 1})
        if (hour >= from)
            files[hour]; // with or without files of other runs
    DayTexts texts(entries, memory);
    for (const auto &[hour, of_hour] : files) {
        Sum sum;
        for (const folder::Entry *const entry : of_hour) {
            pg::check_for_interrupts();
            core::history::Hour content;
            if (load(*entry, content, warn))
                sum.add(content);
        }
        if (hour >= in_memory)
            sum.add(memory.of(hour));
        sum.tell(hour, sees, texts, take);
    }
}

Status status() {
    Status status = {};
    for (const folder::Entry &entry : folder::list()) {
        pg::check_for_interrupts();
        if (entry.file && entry.file->kind == Kind::Connections)
            continue;
        status.files++;
        bool usable = false;
        if (entry.file) {
            const bool totals = entry.file->kind == Kind::Totals;
            core::history::Hour hour;
            core::history::Texts texts;
            usable = totals ? load(entry, hour, ignore) : load(entry, texts, ignore);
            status.size_bytes += folder::size(entry.name);
            if (usable && totals) {
                status.first_hour = status.first_hour.value_or(entry.file->hour);
                status.last_hour = entry.file->hour;
            }
        }
        if (!usable)
            status.unusable++;
    }
    return status;
}

} // namespace wc::observe::history

// What the history takes from memory.
#include "observe/history_memory.hpp"

#include "observe/stats_read.hpp"

#include <algorithm>

namespace wc::observe::history {

namespace {

Snapshot::Entry entry_of(const stats::Pattern &pattern) {
    Snapshot::Entry entry{pattern.database, pattern.role, pattern.query_id, {pattern.encoding, {}}, pattern.hours};
    if (pattern.utility)
        entry.text.bytes = GetCommandTagName(pattern.tag);
    else
        entry.text.bytes = stats::text_of(pattern);
    return entry;
}

core::history::Totals totals_of(const HourTotals &totals) {
    return {totals.calls, totals.rows, totals.total_ns, totals.max_ns};
}

} // namespace

int64 Snapshot::latest() const {
    int64 hour = other.hour;
    for (const Entry &entry : entries)
        hour = std::max(hour, entry.hours.hour);
    return hour;
}

core::history::Hour Snapshot::of(int64 hour) const {
    core::history::Hour all{hour, run, totals_of(other.of(hour)), {}};
    for (const Entry &entry : entries)
        if (const HourTotals totals = entry.hours.of(hour); totals.calls > 0)
            all.patterns.push_back({entry.database, entry.role, entry.query_id, totals_of(totals)});
    return all;
}

Snapshot snapshot() {
    const stats::Copy copy;
    Snapshot taken;
    taken.run = run_of_server();
    taken.other = copy.info().others;
    for (const stats::Pattern *const pattern : copy.patterns())
        taken.entries.push_back(entry_of(*pattern));
    return taken;
}

} // namespace wc::observe::history

// Rows of connections in SQL.
#include "monitor/connections_shown.hpp"

#include "observe/encoding.hpp"

#include <array>
#include <cmath>

extern "C" {
#include "mb/pg_wchar.h"
}

namespace wc::monitor::connections {

namespace {

// As the server's own difference of two moments, days and the rest of them.
Interval interval_of(int64 microseconds) {
    Interval interval = {};
    interval.day = static_cast<int32>(microseconds / USECS_PER_DAY);
    interval.time = microseconds % USECS_PER_DAY;
    return interval;
}

// The columns of a row, from the first on.
class Columns {
  public:
    void add(Datum value) { values_.at(count_++) = value; }
    void add(std::optional<Datum> value) {
        nulls_.at(count_) = !value;
        values_.at(count_++) = value.value_or(0);
    }
    void add_number(uint32 number) { add(Int32GetDatum(static_cast<int32>(number))); }
    void give(pg::ResultSet &result) { result.add(values_.data(), nulls_.data(), count_); }

  private:
    std::array<Datum, 12> values_ = {};
    std::array<bool, 12> nulls_ = {};
    int count_ = 0;
};

} // namespace

Datum Shown::text(const std::string &name) {
    const auto [place, is_new] = texts_.try_emplace(name, 0);
    if (is_new) {
        // Nobody says what encoding the names of databases and roles are in: one of another is not valid here.
        const std::string valid = observe::in_database_encoding(name, GetDatabaseEncoding());
        const char *const characters = valid.c_str();
        place->second = pg::call([=] { return CStringGetTextDatum(characters); });
    }
    return place->second;
}

void Shown::add(const Sample &sample, const Row &row) {
    Columns columns;
    Interval open = {};
    std::optional<Datum> oldest;
    if (row.oldest_transaction) {
        open = interval_of(*row.oldest_transaction);
        oldest = IntervalPGetDatum(&open);
    }
    const auto named = [this](const std::string *name) -> std::optional<Datum> {
        if (name == nullptr)
            return {};
        return text(*name);
    };
    if (with_moment_)
        columns.add(TimestampTzGetDatum(sample.at));
    columns.add(text(core::connections::name(row.scope)));
    columns.add(named(row.database_name));
    columns.add(named(row.role_name));
    columns.add_number(row.counts.active);
    columns.add_number(row.counts.idle);
    columns.add_number(row.counts.idle_in_transaction);
    columns.add_number(row.counts.waiting);
    columns.add_number(row.counts.total);
    columns.add(Int32GetDatum(row.max));
    columns.add(row.utilisation_percent
                    ? std::optional<Datum>(Float8GetDatum(std::round(*row.utilisation_percent * 100) / 100))
                    : std::nullopt);
    columns.add(oldest);
    columns.give(result_);
}

void Shown::add(const Sample &sample) {
    for (const Row &row : core::connections::rows(sample))
        if (row.role == 0 || viewer_.sees(row.role))
            add(sample, row);
}

} // namespace wc::monitor::connections

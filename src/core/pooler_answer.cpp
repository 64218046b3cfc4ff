// Answers of PgBouncer's console.
#include "core/pooler_answer.hpp"

#include <algorithm>
#include <charconv>

namespace wc::core::pooler {

namespace {

// The pooler's own console is listed as a pool, but has no servers.
constexpr std::string_view console = "pgbouncer";

constexpr std::int64_t us_per_second = 1000000;

} // namespace

void Reader::refuse(const char *why) {
    if (error_ == nullptr)
        error_ = why;
}

void Reader::columns(const std::vector<std::string_view> &names) {
    switch (question_) {
    case Question::Pools:
        columns_ = {{"database", true, {}},   {"user", true, {}},      {"cl_active", true, {}},
                    {"cl_waiting", true, {}}, {"sv_active", true, {}}, {"sv_idle", true, {}},
                    {"sv_used", true, {}},    {"maxwait", true, {}},   {"maxwait_us", false, {}}};
        break;
    case Question::Stats:
        columns_ = {{"database", true, {}},
                    {"total_xact_count", true, {}},
                    {"total_query_count", true, {}},
                    {"total_wait_time", true, {}}};
        break;
    case Question::Databases:
        columns_ = {{"name", true, {}}, {"pool_size", true, {}}, {"max_connections", false, {}}};
        break;
    }
    for (Column &column : columns_) {
        const auto found = std::find(names.begin(), names.end(), column.name);
        if (found != names.end())
            column.place = static_cast<std::size_t>(found - names.begin());
        else if (column.required)
            refuse("its answer lacks a column that PgBouncer has");
    }
}

std::optional<std::string_view> Reader::cell(const std::vector<Cell> &cells, std::string_view name) const {
    for (const Column &column : columns_)
        if (column.name == name && column.place && *column.place < cells.size())
            return cells[*column.place];
    return {};
}

std::optional<std::string> Reader::text(const std::vector<Cell> &cells, std::string_view name) {
    const auto found = cell(cells, name);
    if (!found || found->empty()) {
        refuse("its answer has a row without a name");
        return {};
    }
    return std::string(*found);
}

// A count since the pooler's start; 0 where the column is not there, or NULL.
std::uint64_t Reader::total(const std::vector<Cell> &cells, std::string_view name) {
    const auto found = cell(cells, name);
    if (!found)
        return 0;
    std::uint64_t value = 0;
    const auto [behind, error] = std::from_chars(found->data(), found->data() + found->size(), value);
    if (error != std::errc() || behind != found->data() + found->size()) {
        refuse("its answer has something else where a number should be");
        return 0;
    }
    return value;
}

// A number of connections, or of seconds, or of microseconds of a second: far from what could overflow in a sum.
std::int64_t Reader::number(const std::vector<Cell> &cells, std::string_view name) {
    return static_cast<std::int64_t>(std::min<std::uint64_t>(total(cells, name), 1000000000));
}

void Reader::row(const std::vector<Cell> &cells) {
    if (error_ != nullptr)
        return;
    const auto database = text(cells, question_ == Question::Databases ? "name" : "database");
    if (!database || *database == console)
        return;
    switch (question_) {
    case Question::Pools: {
        const auto user = text(cells, "user");
        if (!user)
            return;
        PoolRow pool;
        pool.database = *database;
        pool.user = *user;
        pool.clients_active = number(cells, "cl_active");
        pool.clients_waiting = number(cells, "cl_waiting");
        pool.servers_active = number(cells, "sv_active");
        pool.servers_idle = number(cells, "sv_idle");
        pool.servers_used = number(cells, "sv_used");
        pool.maxwait_us = number(cells, "maxwait") * us_per_second + number(cells, "maxwait_us");
        if (error_ == nullptr)
            answer_.pools.push_back(std::move(pool));
        break;
    }
    case Question::Stats: {
        const StatRow stat = {*database, total(cells, "total_xact_count"), total(cells, "total_query_count"),
                              total(cells, "total_wait_time")};
        if (error_ == nullptr)
            answer_.stats.push_back(stat);
        break;
    }
    case Question::Databases: {
        const DatabaseRow row = {*database, number(cells, "pool_size"), number(cells, "max_connections")};
        if (error_ == nullptr)
            answer_.databases.push_back(row);
        break;
    }
    }
}

} // namespace wc::core::pooler

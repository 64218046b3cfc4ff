// What PgBouncer's console answers to SHOW POOLS, SHOW STATS and SHOW DATABASES, read by the names of the columns:
// their order and number differ from version to version. What is not a row of such an answer is refused with the
// reason.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wc::core::pooler {

enum class Question { Pools, Stats, Databases };

// A pool: the connections of one user to one database.
struct PoolRow {
    std::string database;
    std::string user;
    std::int64_t clients_active = 0;
    std::int64_t clients_waiting = 0;
    std::int64_t servers_active = 0;
    std::int64_t servers_idle = 0;
    std::int64_t servers_used = 0; // idle so long that they are checked before they are given to a client
    std::int64_t maxwait_us = 0;   // how long the first of those that wait has waited
};

// Totals since the pooler's start.
struct StatRow {
    std::string database;
    std::uint64_t transactions = 0;
    std::uint64_t queries = 0;
    std::uint64_t wait_us = 0; // that clients waited for a server
};

struct DatabaseRow {
    std::string database;
    std::int64_t pool_size = 0;       // of each of its pools; 0: not told
    std::int64_t max_connections = 0; // of all of its pools; 0: without limit
};

struct Answer {
    std::vector<PoolRow> pools;
    std::vector<StatRow> stats;
    std::vector<DatabaseRow> databases;
};

// A row's cells in the order of its columns; empty: NULL.
using Cell = std::optional<std::string_view>;

// Takes the rows of one answer. The first error stays.
class Reader {
  public:
    Reader(Question question, Answer &answer) : question_(question), answer_(answer) {}

    // The names of the columns of the rows to come.
    void columns(const std::vector<std::string_view> &names);
    void row(const std::vector<Cell> &cells);

    // Nothing, or why this is no such answer: a phrase that holds nothing of what was sent.
    [[nodiscard]] const char *error() const { return error_; }

  private:
    struct Column {
        const char *name;
        bool required;
        std::optional<std::size_t> place;
    };

    [[nodiscard]] std::optional<std::string> text(const std::vector<Cell> &cells, std::string_view name);
    [[nodiscard]] std::uint64_t total(const std::vector<Cell> &cells, std::string_view name);
    [[nodiscard]] std::int64_t number(const std::vector<Cell> &cells, std::string_view name);
    [[nodiscard]] std::optional<std::string_view> cell(const std::vector<Cell> &cells, std::string_view name) const;
    void refuse(const char *why);

    Question question_;
    Answer &answer_;
    std::vector<Column> columns_;
    const char *error_ = nullptr;
};

} // namespace wc::core::pooler

// Indexes that statements would be quicker with. Private to the room.
#pragma once

#include "pg/spi.hpp"

namespace wc::observe {

struct SuggestOptions {
    double min_gain_percent = 20; // of what a statement costs, to count as helped
    double min_table_rows = 1000; // smaller tables aren't worth an index
    std::string search_path;      // by which the statements' names are found
};

struct PatternIn {
    std::string text; // normalised
    int64_t calls = 0;
    Oid role = InvalidOid; // whose statement it is; InvalidOid: the caller's
    int64_t id = 0;
};

struct Suggestion {
    std::string table; // qualified and quoted
    std::vector<std::string> columns;
    std::string definition;
    size_t statements = 0;
    int64_t calls = 0;
    double cost_before = 0;
    double cost_after = 0;
    int64_t size = 0;
    int64_t writes = 0;
    std::vector<int64_t> ids;
    std::string reason;
};

// What a statement is left out for, or can't be judged by.
struct LeftOut {
    std::string reason;
    size_t statements = 0;
    int64_t calls = 0;
    std::vector<int64_t> ids;
};

// In the order of what they save; each beside those before it. Throws 55000 without hypopg, 22023 for options out of
// range.
std::vector<Suggestion> suggest(pg::Spi &spi, const std::vector<PatternIn> &patterns, const SuggestOptions &options);

// The patterns that suggest() can't judge, by reason, those called most first.
std::vector<LeftOut> left_out(pg::Spi &spi, const std::vector<PatternIn> &patterns, const SuggestOptions &options);

} // namespace wc::observe

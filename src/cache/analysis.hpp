// From a text to a prepared statement, and what it is found to be.
#pragma once

#include "cache/refusal.hpp"
#include "cache/secret.hpp"
#include "pg/guard.hpp"

extern "C" {
#include "utils/plancache.h"
}

namespace wc::cache {

// Prepares one statement for `count` values; the plan is kept until SPI_freeplan(). Parameters get the types that
// PREPARE gives them, text where that couldn't tell. Throws Error: 42601 for no statement or more than one, 42P02 for a
// parameter without a value, 08P01 for a value without a parameter, and what the analysis finds, its position in the
// text as that of an internal query.
SPIPlanPtr prepare(const char *text, int count);

// What an analysed statement is. Changes with it, never by itself.
struct Facts {
    std::optional<Refusal> refusal;
    bool prints_alike = true;
    uint64 query_id = 0;
    std::vector<Oid> tables;
    std::vector<uint32> cells;
    std::vector<Oid> functions;
    List *checked = nullptr; // in the memory of the source's queries: as long as these are
    secret::Code code = {};  // of the analysed query, its database and role; where there is a secret and no refusal
};

// Throws Error.
std::shared_ptr<const Facts> facts_of(const CachedPlanSource *source);

} // namespace wc::cache

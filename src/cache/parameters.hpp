// What wc_cached() and wc_cached_json() are called with, checked.
#pragma once

#include "pg/guard.hpp"

#include <string_view>

namespace wc::cache {

// In the memory that the function was called with.
struct Parameters {
    std::string_view query; // ends with a 0 that doesn't count
    const char *const *values = nullptr;
    int count = 0; // of values, each null for NULL
    int64 ttl_ms = 0;
    std::string_view tag; // no data: none
};

constexpr int64 longest_ttl_ms = INT64CONST(30) * 24 * 60 * 60 * 1000;

// Reads query, params, ttl and tag, which stand side by side from an index on. Throws Error: 22004 for what must not be
// NULL, 22023 for what makes no sense, 22001 for a tag that is too long; none of them tells a value.
Parameters read_parameters(FunctionCallInfo fcinfo, int first);

} // namespace wc::cache

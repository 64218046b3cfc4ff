// Serving a query's rows: from the cache where they are there and may be, else by running it.
#pragma once

#include "cache/question.hpp"

namespace wc::cache {

// What wc_cached() and wc_cached_json() do. first: the place of the argument `query`. Throws Error.
Datum serve(FunctionCallInfo fcinfo, Shape shape, int first);

} // namespace wc::cache

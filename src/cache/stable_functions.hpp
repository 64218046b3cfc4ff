// Functions of the server's that are called STABLE only because of settings that are in the key of each entry, or
// because they print values of any type. What else is STABLE may read tables or the clock, and what calls it isn't
// cached.
#pragma once

#include "pg/prelude.hpp"

namespace wc::cache {

enum class Stable : uint8 {
    No,       // not one of them
    Settings, // its result follows from its arguments and settings in the key
    Prints,   // so it does where its arguments' types print alike (printed.hpp)
    Clock,    // tells the time: not one of them, but worth a reason of its own
};

// Of a function of the server's own that is not IMMUTABLE.
Stable stable_function(Oid function) noexcept;

} // namespace wc::cache

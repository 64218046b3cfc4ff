// Where the client of this session is. Its address is never told, only its class, and a number that stands for it.
#pragma once

#include "pg/prelude.hpp"

namespace wc::observe::client {

enum class Place : uint8 {
    None,    // a background worker has no client
    Local,   // Unix socket, loopback
    Network, //
};

// Plain server code that neither allocates nor raises: what runs with each statement may call these.

Place place() noexcept;

// The same number for each session of one host; 0 for background workers.
uint64 host() noexcept;

} // namespace wc::observe::client

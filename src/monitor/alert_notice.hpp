// What a visitor does for alerts in a database (see visit.hpp).
#pragma once

#include <string>
#include <string_view>

namespace wc::monitor::alerts {

// Notifies whoever listens to wc_alert in this database of what is new, each change in JSON. Outside of a transaction.
// Returns nothing. Throws Error: then all of it is told again.
std::string notify_listeners(std::string_view request);

} // namespace wc::monitor::alerts

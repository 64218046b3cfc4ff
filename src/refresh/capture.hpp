// Capturing changes of the base tables: the work behind the SQL function wc_capture(). Private to the room.
#pragma once

#include "pg/guard.hpp"

namespace wc::refresh {

// One call of the trigger. Throws 39P01 where it is not called as the trigger that it is made for.
void on_capture(FunctionCallInfo fcinfo);

} // namespace wc::refresh

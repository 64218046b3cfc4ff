// The magic block by which the server knows a library built for it. Included once, by whitecross.cpp.
#pragma once

#include "pg/prelude.hpp"

extern "C" {
WC_EXPORT const Pg_magic_struct *PG_MAGIC_FUNCTION_NAME(void); // hidden symbols would hide it too
PG_MODULE_MAGIC;
}

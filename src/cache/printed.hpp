// What a value of a type prints, as text or JSON: whether that follows from the value and from settings that are in the
// key of each entry, or from names in the catalogues (regclass), or from functions of a user's that may do anything.
#pragma once

#include "pg/prelude.hpp"

namespace wc::cache {

// Whether values of a type print alike as long as settings, and what is in `made_of`, stay as they are. Adds the
// composite types that it is made of (their relations) to made_of, each once. Of an anonymous record it can't be told:
// false. Plain server code.
bool prints_alike(Oid type, List **made_of);

// Whether a value of a type, kept by one session, can be read by others: not anonymous records, whose columns only the
// session knows that made them, nor pseudo-types. Adds composite types to made_of. Plain server code.
bool can_be_shared(Oid type, List **made_of);

// Whether a function's result follows from its arguments, settings in the key and the database's rules: IMMUTABLE, or a
// known one of the server's. `prints`: it does where its arguments print alike. Plain server code.
bool follows_from_arguments(Oid function, bool *prints);

} // namespace wc::cache

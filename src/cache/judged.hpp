// What the walk over a query (cacheable.cpp) has found so far: reasons to refuse it, what it calls and what it prints.
// Plain server code.
#pragma once

#include "cache/cacheable.hpp"

namespace wc::cache {

// Zeroed, it is one that has seen nothing.
struct Walk {
    Verdict verdict;
    bool words_for_now;  // the text has a string with one
    bool prints_records; // an anonymous record, of which only its parts tell what it prints
    List *parts;         // types of whatever may be a part of one
    bool unknown_parts;  // of which the type can't be told
};

// Notes a reason; the first one counts. The walk goes on: what is read is wanted all the same.
void refuse(Walk *walk, Refusal reason);

void note_table(Walk *walk, Oid table);

// Something of a type is printed, as text or JSON.
void note_printed(Walk *walk, Oid type);

// Something of a type may be a column of an anonymous record.
void note_part(Walk *walk, Oid type);
void note_parts(Walk *walk, List *types);

// Refuses a query that prints anonymous records, unless all that may be in one prints alike. To be called last.
void judge_records(Walk *walk);

// Something calls a function; arguments: what that prints, if it does.
void note_call(Walk *walk, Oid function, List *arguments);

// The same, and the caller needs the right to.
void note_function(Walk *walk, Oid function, List *arguments);

// An aggregate or window function, and what it is made of: the server says that every aggregate is IMMUTABLE.
void note_aggregate(Walk *walk, Oid aggregate, List *arguments);

} // namespace wc::cache

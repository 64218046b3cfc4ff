// Whether the change log tells everything that happened since a view's last refresh: marks of what it rests on, taken
// at each refresh and compared at the next. Private to the room.
#pragma once

#include "pg/guard.hpp"

namespace wc::refresh {

// What has to be the same at the next refresh, by name: "view", "log", "stamp", and of each base table "<table>
// relation", "<table> triggers", "<table> children", "<table> files". Values are numbers of catalogues; no row's value.
using Marks = std::map<std::string, std::string>;

struct Trust {
    Marks marks;
    std::string fault;               // why the triggers of today would miss changes; empty: they would not
    std::vector<std::string> broken; // the tables whose triggers are at fault, by canonical name
};

// Takes the marks under the active snapshot, which is the refresh's: a mark of a moment before or after it would let
// through what happened between. view: the materialized view; tables: canonical names of the base tables, which are in
// the view's schema.
Trust take_marks(Oid view, const std::vector<std::string> &tables);

// The view's own mark as the open transaction has left it: after a refresh that gives the view another file.
std::string mark_of_view(Oid view);

// Why the log can't be trusted, in our words; empty: the marks are the same.
std::string difference(const Marks &recorded, const Marks &now);

} // namespace wc::refresh

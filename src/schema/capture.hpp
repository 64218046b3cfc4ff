// Which columns of the base tables the views read, and which of them have to be noted when a row changes.
#pragma once

#include "schema/site.hpp"

#include <set>

namespace wc::schema {

// What the triggers of one base table note. Column names are the site's own, sorted.
struct Capture {
    std::string table;                 // canonical name of the table
    std::vector<std::string> keys;     // noted of a changed row; none: that something changed is all that is noted
    std::vector<std::string> compared; // an UPDATE that changes none of these notes nothing
};

// For each base table that a view reads which is applicable here and not switched off. The columns are those of every
// view that is applicable, so that switching one off does not change what is noted for the others.
std::map<std::string, Capture> captures(pg::Spi &spi, const Site &site);

// Site's columns by table.
using Columns = std::map<std::string, std::set<std::string>>;

// Adds the site's columns that a canonical column is made of here: those of its mapping, and those that its lookups are
// joined by.
void add_columns(const Site &site, const std::string &table, const std::string &canonical, Columns &columns);

} // namespace wc::schema

// Materialized views of the site's own: adding and removing them.
#pragma once

#include "schema/operations.hpp"

namespace wc::schema {

// What wc_add_view() is given.
struct SiteView {
    std::string name;
    std::string definition;
    std::vector<std::string> key_columns;
    std::map<std::string, std::string> sources; // by table: a keys template
    pg::Text keys_between;
    pg::Text next_moment;
    pg::Text comment;
};

// Registers a view, makes it with its index and the triggers of its tables, and fills it. Returns what was done; the
// view's own row is "pending" where it could not be filled, and the log of refreshes tells why. Else it throws: 22023
// for what can't be, 42710 and 42P07 for a name that is taken, 42601, 42P01, 42703 and the like where the server can't
// analyse a text, 0A000 for what can't be refreshed by keys, 42501 where the owner of table students may not read a
// table, 55P03 for a lock that could not be had.
std::vector<Action> add_view(pg::Spi &spi, const SiteView &view);

// Takes a view of the site's away, with what is remembered of it. Throws 42704 for an unknown name, 42809 for a shipped
// view, 2BP01 where others depend on it, 55P03 for a lock that could not be had.
std::vector<Action> remove_view(pg::Spi &spi, const std::string &name);

// Throws where a definition can't be that of a view here, as add_view(). The view is registered already, so that site
// knows its tables. Private to the room.
void require_refreshable(pg::Spi &spi, const Site &site, const SiteView &view);

} // namespace wc::schema

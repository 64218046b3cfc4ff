// Making materialized views and indexes, and what goes with a view: its owner, its grants, its first contents.
// Private to the room.
#pragma once

#include "schema/state.hpp"

namespace wc::schema {

// Why the view can't belong to the owner of table students (empty: it can): a role that cannot read a base table, or
// for which row security would hide rows.
std::string view_owner_problem(pg::Spi &spi, const Site &site, const State &state);

// Makes the view without contents, with owner, comments and link.
void make_view(pg::Spi &spi, const Site &site, State &state);

// Makes an index with its comment and link.
void make_index(pg::Spi &spi, const Site &site, State &state);

// A view of that name that isn't ours: the same definition? Then it is remembered as found.
bool adopt_view(pg::Spi &spi, const Site &site, State &state);

// Fills a view that has just been made, through the room that refreshes. Returns why it could not.
std::optional<std::string> fill_view(pg::Spi &spi, const Site &site, const State &state);

// Tells the room that schedules that views were installed.
void views_installed(pg::Spi &spi);

// What the site has added to a view, kept in wc_registry while the view is made anew: grants on it and its columns,
// given again to the roles that exist, and indexes that aren't ours.
void remember_additions(pg::Spi &spi, const Site &site, const State &state);
void restore_additions(pg::Spi &spi, const Site &site, const State &state);

// Takes back what default privileges gave on a view that has just been made: it shows every row whatever the policies
// of the base tables, so nobody but its owner reads it unless somebody says so of this view.
void revoke_defaults(pg::Spi &spi, const Site &site, const State &state);

} // namespace wc::schema

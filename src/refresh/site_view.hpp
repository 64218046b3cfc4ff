// Materialized views of the site's own, as the functions of SQL add and remove them. Private to the room.
#pragma once

#include "schema/site_view.hpp"

namespace wc::refresh {

// Adds a view, fills it, and has the schedule follow; see schema::add_view(). Throws besides what that throws: 25001 in
// a REPEATABLE READ or SERIALIZABLE transaction; the condition that kept it from being filled (23505: two rows have one
// key); 0A000 where restricted to some keys the definition gives other rows than as a whole.
std::vector<schema::Action> add_view(pg::Spi &spi, const schema::SiteView &view);

// Removes one, and has the schedule follow; throws as schema::remove_view().
std::vector<schema::Action> remove_view(pg::Spi &spi, const std::string &name);

} // namespace wc::refresh

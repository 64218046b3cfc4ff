// How what is observed is shown in SQL: values as the texts that a ResultSet takes. All of it may throw Error.
#pragma once

#include "observe/statement.hpp"
#include "pg/spi.hpp"

namespace wc::observe::shown {

pg::Text moment(TimestampTz at);       // ISO, whatever DateStyle is; 0: NULL
pg::Text milliseconds(int64 duration); // of nanoseconds
pg::Text number(int64 value);          //
pg::Text query_id(uint64 id);          // as pg_stat_activity shows it; 0: NULL
pg::Text database(Oid oid);            // NULL: dropped since
pg::Text role(Oid oid);                // NULL: dropped since
pg::Text relation(Oid oid);            // of this database, qualified; NULL: dropped since
pg::Text type(Oid oid);                // NULL: dropped since

// An array's text form; an empty element is NULL.
std::string array(const std::vector<pg::Text> &elements);

// A normalised text that was taken down in a database of that encoding; where it isn't known, the command tag stands
// for it.
std::string text(const std::string &normalised, int encoding, CommandTag tag);

} // namespace wc::observe::shown

// SQL-visible functions of normalised text: thin, no logic.
#include "observe/encoding.hpp"
#include "observe/query_text.hpp"

extern "C" {
#include "mb/pg_wchar.h"
#include "utils/backend_status.h"
}

using namespace wc;

// wc_normalise_query(query text) → text: normalised; NULL where nothing of it can be told.
WC_FUNCTION(wc_normalise_query) {
    return pg::return_text(fcinfo, observe::query_text(pg::required_text(fcinfo, 0, "query"), {}));
}

// wc_activity_text(query text, analysed boolean, encoding integer) → text: of a row of pg_stat_activity, where
// `analysed` is whether it has a query id, and `encoding` that of its database.
WC_FUNCTION(wc_activity_text) {
    const std::string query = pg::required_text(fcinfo, 0, "query");
    observe::Source known;
    known.parsed = pg::bool_argument(fcinfo, 1).value_or(false);
    // Cut at a character's border, so that some bytes may be missing that would have had a place.
    known.cut = query.size() + MAX_MULTIBYTE_CHAR_LEN >= static_cast<size_t>(pgstat_track_activity_query_size);
    const pg::Text text = observe::query_text(query, known);
    if (!text)
        return pg::return_null(fcinfo);
    const int encoding = pg::int_argument(fcinfo, 2).value_or(GetDatabaseEncoding());
    return pg::return_text(fcinfo, observe::in_database_encoding(*text, encoding));
}

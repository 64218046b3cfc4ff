// SQL-visible functions of this room: thin, no logic.
#include "observe/observe.hpp"
#include "observe/presence.hpp"

#include "pg/function.hpp"

using namespace wc;

WC_FUNCTION(wc_preloaded) {
    PG_RETURN_BOOL(observe::preloaded());
}

// The full name of a view; 42704 for one that there isn't.
WC_FUNCTION(wc_view_name) {
    const std::string name = pg::required_text(fcinfo, 0, "view_name");
    std::string full;
    {
        pg::Spi spi;
        full = schema::view(spi, name).name;
    }
    return pg::return_text(fcinfo, full);
}

WC_FUNCTION(wc_data_presence) {
    std::vector<observe::Presence> found;
    {
        pg::Spi spi;
        found = observe::presence(spi);
    }
    pg::ResultSet result(fcinfo);
    for (const auto &each : found)
        result.add({each.relation, each.rows ? pg::Text(*each.rows ? "true" : "false") : pg::Text()});
    return result.done();
}

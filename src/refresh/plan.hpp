// The statements of a view's incremental refresh, made when the whole view is refreshed and kept in wc_view_state: to
// read the site's tables and mappings and to expand the definition takes longer than to use them. Private to the room.
#pragma once

#include "pg/spi.hpp"
#include "schema/schema.hpp"

namespace wc::refresh {

struct Plan {
    std::string problem;      // why the view can't be refreshed incrementally here; empty: it can
    std::string tables;       // canonical names of the tables whose changes matter, separated by commas
    std::string whole_tables; // those of them of which any change concerns the whole view
    bool untried = false;     // of a site's definition: the next refresh is of the whole view, and tries it
    int key_columns = 0;      // of the refresh key
    std::string keys;       // $1 text: the consumed snapshot, $2 text: the clock of the last refresh, $3 int8: a limit.
                            // One row: how many keys, and for each key column the text[] of their values
    std::string difference; // $1, $2, ... text[]: keys. Rows of the view that differ from its definition: what to do (1
                            // delete, 2 update, 3 insert; in this order), where the row is (tid), the new row's columns
    std::string next_moment; // the next time after {now} at which some row changes by time alone; empty: none ever does

    [[nodiscard]] std::vector<std::string> table_list() const;
};

// Makes the plan for the site as it is now. Needs the rights of the extension's owner.
Plan make_plan(pg::Spi &spi, const std::string &view);

} // namespace wc::refresh

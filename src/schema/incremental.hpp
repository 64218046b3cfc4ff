// What an incremental refresh of a view runs: everything that follows from the view's one definition and from the
// keys templates of its sources (wc_view_source), as SQL over this site's tables.
#pragma once

#include "schema/site.hpp"

namespace wc::schema {

struct Incremental {
    // Why the view can't be refreshed incrementally here; empty: it can, and the rest is filled in.
    std::string problem;

    // The view's columns by which a refresh restricts it, and their types (format_type) in the view.
    std::vector<std::string> key_columns;
    std::vector<std::string> key_types;

    // The definition restricted to keys. $1, $2, ...: text[], one for each key column, all of one length; the i-th
    // elements are one key, and no key may come twice.
    std::string select;

    // SELECT of the keys of rows that may differ, as text columns k1, k2, ..., each key once, none with a NULL: those
    // of the changed rows of all sources, and those that change between the two clocks by themselves. It reads the
    // pending changes from wc_changed (table_name text, keys text[]), which who runs it has to provide: the owner of
    // the view may not read the log. $2: the clock of the last refresh (timestamptz as text).
    std::string keys;

    // The same for who may read the log: with wc_changed. $1: the view's consumed snapshot (pg_snapshot as text).
    std::string keys_of_log;

    // Queries of the keys that every row of a table bears, for the tables where it bears its own. They read nothing
    // else.
    std::vector<std::string> keys_of_tables;

    // The base tables whose changes matter, by canonical name; and the columns that the triggers of each must note, as
    // the array that is their argument: keys reads the change log in this layout.
    std::vector<std::string> tables;
    std::map<std::string, std::string> layouts;

    // SELECT of what is pending: count(*), min(noted_at), whether something of it leaves no choice but the whole view,
    // and the tables that this is due to, joined by ', '. $1: the consumed snapshot.
    std::string pending;

    // SELECT of the next moment after {now} at which some row changes by time alone (NULL: none). Empty: no row ever
    // does.
    std::optional<std::string> next_moment;
};

// Of a view of the catalogue that is installed. search_path has to be pinned (pg_catalog, pg_temp): names of types are
// written as it demands. Throws 42704 for an unknown view.
Incremental incremental(pg::Spi &spi, const std::string &view);

} // namespace wc::schema

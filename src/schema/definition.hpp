// What each managed object ought to be on this site: the catalogue's definitions, resolved and put into SQL.
#pragma once

#include "schema/site.hpp"

#include <set>

namespace wc::schema {

struct IndexKey {
    std::string column; // of the site
    bool descending = false;
};

// One trigger of the several by which a base table's changes are captured: as it ought to be, or as it is there.
struct Trigger {
    Oid oid = InvalidOid; // as it is there
    Oid relation = InvalidOid;
    std::string on; // the relation, qualified and quoted
    std::string name;
    int type = 0;       // pg_trigger.tgtype
    char enabled = 'O'; // pg_trigger.tgenabled
    std::string arguments;
    std::string old_rows; // names of the transition tables; empty: none
    std::string new_rows;
    bool clone = false; // a partition's, which the server makes with its parent's
    bool ours = true;   // it calls our function
    bool plain = true;  // it has no condition, columns or deferral
};

struct Definition {
    std::string kind;
    std::string name;
    std::string table; // base table, or the view of a view index
    std::string comment;

    // Why it can't be here (columns absent), or can't be yet (table absent). Empty: it can.
    std::string not_applicable;
    std::string missing;

    // What was left out of it, and why: not a fault.
    std::string note;

    // The statement that makes it: the words by which an object of ours is known to be of today.
    std::string sql;

    // check constraint
    std::string expression;
    // indexes
    bool of_view = false; // of a materialized view, not of a base table
    std::vector<IndexKey> keys;
    std::vector<std::string> include;
    std::string predicate;
    bool unique = false;
    bool nulls_not_distinct = false;
    // materialized view
    std::set<std::string> base_tables;
    std::vector<std::pair<std::string, std::string>> column_comments;
    // trigger: on the table and on all its partitions and children
    std::vector<Trigger> triggers;
    std::string call; // EXECUTE FUNCTION ..., the end of each statement

    [[nodiscard]] bool applicable() const { return not_applicable.empty() && missing.empty(); }
    [[nodiscard]] bool is_constraint() const { return kind == "check constraint"; }
    [[nodiscard]] bool is_view() const { return kind == "materialized view"; }
    [[nodiscard]] bool is_trigger() const { return kind == "trigger"; }
    [[nodiscard]] bool is_index() const { return !is_constraint() && !is_view() && !is_trigger(); }
};

// The kinds, in the order of installation.
const std::vector<std::string> &kinds();

// Every managed object: constraints, covering, partial, composite indexes, views, view and refresh indexes, triggers;
// each kind in its order.
std::vector<Definition> definitions(pg::Spi &spi, const Site &site);

// What the placeholders of a text become.
struct Expansion {
    // The argument list of unnest() that gives the keys, one array for each of key_columns; empty: the whole view.
    std::string keys;
    std::vector<std::string> key_columns;

    // In keys templates only: what {changed: ...} selects from in place of the table, the clock of the last refresh,
    // and the view's name, as SQL.
    std::string changed_table;
    std::string changed_rows;
    std::string then;
    std::string view;

    // What {now} becomes instead of the clock of the views; empty: that.
    std::string clock;

    // If wanted: the base tables that are read, by name; and each canonical column, by table, apart for {changed: ...}.
    std::set<std::string> *base_tables = nullptr;
    using Canonical = std::set<std::pair<std::string, std::string>>;
    Canonical *read = nullptr;
    Canonical *changed = nullptr;
    // As often as it is read: each table that a placeholder names, and each that is joined to look something up in it.
    std::vector<std::string> *named = nullptr;
    std::vector<std::string> *looked_up = nullptr;
    bool *reads_clock = nullptr; // set where the text has {now} or what follows from it
};

// A definition, or a keys template, over the site's tables.
// Throws Error 42P01 for an absent table, 42703 for an absent id column.
std::string expand_query(const Site &site, const std::string &text, const Expansion &expansion);

// The SELECT of a whole view. base_tables: what it reads, if wanted.
std::string expand_view(const Site &site, const std::string &definition, std::set<std::string> *base_tables);

// A canonical column as an SQL expression over its table (by the table's own name), converted to its canonical type
// where the catalogue says so. Adds the lookup it needs to lookups. NULL of its type where the site has none.
std::string canonical_expression(const Site &site, const std::string &table, const std::string &canonical,
                                 std::set<std::string> &lookups);

// FROM clause of a base table with the joins of its lookups. rows: what stands for the table, if not itself.
// looked_up: each table that is joined, if wanted.
std::string from_clause(const Site &site, const std::string &table, const std::set<std::string> &lookups,
                        std::set<std::string> *base_tables, const std::string &rows = {},
                        std::vector<std::string> *looked_up = nullptr);

} // namespace wc::schema

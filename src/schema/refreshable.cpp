// Whether a definition of the site's can be that of a materialized view which is refreshed by keys: what its texts tell
// once the server has analysed them. Whether the restricted definition gives the same rows as the whole one is seen by
// trying it (refresh/restriction).
#include "schema/site_view.hpp"

#include "core/template.hpp"
#include "pg/membership.hpp"
#include "pg/query.hpp"
#include "schema/views.hpp"

#include <algorithm>

namespace wc::schema {

namespace {

// Any moment: what is analysed is not run.
const char *const some_moment = "'2000-01-01 00:00:00+00'::timestamptz";

const char *const placeholder_hint =
    "Placeholders are {table: column, ...}, {only alias.\"column\"}, {now}, {today}, {timezone}; a brace itself is "
    "written twice.";

[[noreturn]] void unsupported(const std::string &message, const std::string &detail, const std::string &hint) {
    throw pg::Error(ERRCODE_FEATURE_NOT_SUPPORTED, message, detail, hint);
}

std::string given(const char *text) {
    return text != nullptr ? text : "";
}

class Check {
  public:
    Check(pg::Spi &spi, const Site &site, const SiteView &view) : spi_(spi), site_(site), view_(view) {}

    void run() {
        if (site_.table("students") == nullptr)
            throw pg::Error(ERRCODE_UNDEFINED_TABLE, "table " + site_.qualified("students") + " does not exist",
                            "The view would belong to the owner of that table.",
                            "Create the base tables first, or name their schema with wc_configure().");
        whole();
        restricted();
        readable();
        templates();
    }

  private:
    // A text over the site's tables. what: for the message.
    std::string expand(const std::string &what, const std::string &text, Expansion &expansion) {
        named_.clear();
        looked_up_.clear();
        expansion.clock = some_moment;
        expansion.named = &named_;
        expansion.looked_up = &looked_up_;
        try {
            return expand_query(site_, text, expansion);
        } catch (const std::invalid_argument &error) {
            throw pg::Error(ERRCODE_SYNTAX_ERROR, what + ": " + error.what(), {}, placeholder_hint);
        } catch (const pg::Error &error) {
            if (error.sqlstate() == ERRCODE_UNDEFINED_TABLE)
                throw pg::Error(error.sqlstate(), what + ": " + error.what(), {},
                                "Name a table of schema " + pg::quote_name(site_.setting("base_schema")) +
                                    " as it is written there; views and foreign tables can't be watched.");
            if (error.sqlstate() == ERRCODE_UNDEFINED_COLUMN)
                throw pg::Error(error.sqlstate(), what + ": " + error.what(), {},
                                "Names are taken as they are written. SELECT table_name, canonical FROM "
                                "wc_column_mapping lists the canonical columns; others have their own names.");
            throw;
        }
    }

    // Analyses it, and refuses what no text of ours may do. of_view: stands for the view itself in it.
    pg::QueryFacts analyse(const std::string &what, const std::string &sql) {
        pg::QueryFacts facts;
        try {
            facts = pg::query_facts(sql);
        } catch (const pg::Error &error) { // without the place in a text that the caller never saw
            throw pg::Error(error.sqlstate(), what + ": " + error.what(), given(error.data().detail),
                            given(error.data().hint));
        }
        if (facts.writes)
            unsupported(what + " changes data", "It has INSERT, UPDATE or DELETE in it.",
                        "Give a SELECT that only reads.");
        if (facts.locks)
            unsupported(what + " locks rows", "It has FOR UPDATE, FOR SHARE or the like in it.", "Leave that out.");
        if (!facts.unstable.empty())
            unsupported(
                what + " uses " + facts.unstable,
                facts.of_clock ? "Which rows change by it, no refresh could tell."
                               : "What it gives differs from one refresh to the next though nothing is written.",
                facts.of_clock ? "Write {now} for the present time and {today} for the date, and give keys_between."
                               : "Use what depends on the tables alone.");
        only_placeholders(what, facts);
        only_trusted(what, facts);
        return facts;
    }

    // It runs with the rights of the owner of table students: whoever could change what it calls would have these.
    void only_trusted(const std::string &what, const pg::QueryFacts &facts) {
        for (const Oid function : facts.functions)
            if (const auto name =
                    spi_.value("SELECT p.oid::pg_catalog.regprocedure FROM pg_catalog.pg_proc AS p"
                               "  JOIN pg_catalog.pg_roles AS r ON r.oid = p.proowner"
                               " WHERE p.oid = $1::oid AND NOT r.rolsuper AND p.proowner <>"
                               "       (SELECT c.relowner FROM pg_catalog.pg_class AS c WHERE c.oid = $2::oid)",
                               {std::to_string(function), std::to_string(site_.table("students")->relid)}))
                throw pg::Error(
                    ERRCODE_INSUFFICIENT_PRIVILEGE, what + " calls " + *name,
                    "That function belongs to another role than the view will, and that role could change it.",
                    "Use a function that is built in, or belongs to the owner of table students or to a superuser.");
    }

    // What is read must be known, to be watched: each relation as often as placeholders read it.
    void only_placeholders(const std::string &what, const pg::QueryFacts &facts) {
        std::map<Oid, int> known;
        for (const auto &table : named_)
            ++known[site_.table(table)->relid];
        for (const auto &table : looked_up_)
            ++known[site_.table(table)->relid];
        for (const Oid relation : facts.relations) {
            if (--known[relation] >= 0)
                continue;
            const std::string name =
                spi_.value("SELECT $1::oid::pg_catalog.regclass", {std::to_string(relation)}).value_or("");
            unsupported(what + " reads relation " + name + " by its name", "Changes to it would go unnoticed.",
                        "Write {table: column, ...} for each table of schema " +
                            pg::quote_name(site_.setting("base_schema")) + "; other relations can't be read.");
        }
    }

    void whole() {
        Expansion expansion;
        bool reads_clock = false;
        expansion.base_tables = &base_tables_;
        expansion.key_columns = view_.key_columns;
        expansion.reads_clock = &reads_clock;
        const auto facts = analyse("the definition", expand("the definition", view_.definition, expansion));
        std::set<std::string> names;
        for (const auto &column : facts.columns) {
            if (!names.insert(column.name).second)
                throw pg::Error(ERRCODE_DUPLICATE_COLUMN,
                                "two columns of the definition have the name \"" + column.name + "\"", {},
                                "Give each a name of its own with AS.");
            if (!column.comparable)
                throw pg::Error(ERRCODE_UNDEFINED_FUNCTION,
                                "column \"" + column.name + "\" has type " + column.type + ", which has no equality",
                                "Rows could not be compared with those of the definition.",
                                "Cast it, json to jsonb for example.");
        }
        for (const auto &key : view_.key_columns) {
            const auto found = std::find_if(facts.columns.begin(), facts.columns.end(),
                                            [&](const pg::QueryColumn &column) { return column.name == key; });
            if (found == facts.columns.end())
                throw pg::Error(ERRCODE_UNDEFINED_COLUMN, "the definition has no column \"" + key + "\"",
                                "key_columns names it.", "Names are taken as they are written.");
            if (!found->may_be_key)
                throw pg::Error(ERRCODE_UNDEFINED_FUNCTION,
                                "key column \"" + key + "\" has type " + found->type + ", which has no order", {},
                                "Choose a key of a type that a unique index can be made on.");
            key_types_.push_back(found->type);
        }
        for (const auto &column : facts.columns)
            stand_in_ += (stand_in_.empty() ? "(SELECT " : ", ") + std::string("NULL::") + column.type + " AS " +
                         pg::quote_name(column.name);
        stand_in_ += ")";
        if (reads_clock && !view_.keys_between)
            unsupported("the definition reads the clock, and keys_between is not given",
                        "Its rows change though nothing is written, and a refresh by keys has to be told which.",
                        "Give keys_between, the query of the keys whose rows differ between {then} and {now}, and "
                        "next_moment, when that happens next.");
    }

    void restricted() {
        Expansion expansion;
        expansion.key_columns = view_.key_columns;
        for (const auto &type : key_types_)
            expansion.keys += (expansion.keys.empty() ? "NULL::" : ", NULL::") + type + "[]";
        (void)analyse("the definition, restricted to keys",
                      expand("the definition, restricted to keys", view_.definition, expansion));
    }

    // The tables are not the extension's, and the view's owner may read them.
    void readable() {
        for (const auto &table : base_tables_)
            if (spi_.value(
                    "SELECT true FROM pg_catalog.pg_depend AS d WHERE d.classid = 'pg_catalog.pg_class'::regclass"
                    "   AND d.objid = $1::oid AND d.deptype = 'e'"
                    "   AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = $2::oid",
                    {std::to_string(site_.table(table)->relid), std::to_string(pg::extension_oid())}))
                unsupported("table \"" + table + "\" belongs to the extension", {}, "Read the site's own tables.");
        State state;
        state.wanted.base_tables = base_tables_;
        if (const std::string problem = view_owner_problem(spi_, site_, state); !problem.empty())
            throw pg::Error(ERRCODE_INSUFFICIENT_PRIVILEGE, "the view can't belong to the owner of table students",
                            "The reason: " + problem + ".", "Grant SELECT on the table, or leave it out.");
    }

    // A query of keys: as many columns as the key has, of types that can be cast to the key's.
    void keys_query(const std::string &what, const std::string &text, Expansion &expansion) {
        expansion.then = some_moment;
        expansion.view = stand_in_;
        const std::string sql = expand(what, text, expansion);
        if (const size_t count = analyse(what, sql).columns.size(); count != key_types_.size())
            throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE,
                            what + " gives " + std::to_string(count) + (count == 1 ? " column" : " columns"), {},
                            "It has to give the keys: as many columns as key_columns has, in that order.");
        std::string cast;
        std::string names;
        for (size_t i = 0; i < key_types_.size(); ++i) {
            const std::string name = "k" + std::to_string(i + 1);
            cast += (i > 0 ? ", s." : "s.") + name + "::" + key_types_[i];
            names += (i > 0 ? ", " : "") + name;
        }
        (void)analyse(what, "SELECT " + cast + " FROM (" + sql + "\n) AS s(" + names + ")");
    }

    void templates() {
        for (const auto &[table, keys] : view_.sources) {
            const std::string what = "the source of table \"" + table + "\"";
            if (base_tables_.count(table) == 0)
                throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "the definition does not read table \"" + table + "\"",
                                "sources has a query for it.", "Leave it out.");
            Expansion expansion;
            expansion.changed_table = table;
            expansion.changed_rows = site_.qualified(table);
            keys_query(what, keys, expansion);
        }
        if (view_.keys_between) {
            Expansion expansion;
            keys_query("keys_between", *view_.keys_between, expansion);
        }
        if (view_.next_moment) {
            Expansion expansion;
            expansion.view = stand_in_;
            const std::string sql = expand("next_moment", *view_.next_moment, expansion);
            if (analyse("next_moment", sql).columns.size() != 1)
                throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "next_moment gives more than one column", {},
                                "It has to give one time, or NULL where there is none.");
            (void)analyse("next_moment", "SELECT (" + sql + "\n)::timestamptz");
        }
    }

    pg::Spi &spi_;
    const Site &site_;
    const SiteView &view_;
    std::set<std::string> base_tables_;
    std::vector<std::string> named_; // of the text that was expanded last
    std::vector<std::string> looked_up_;
    std::vector<std::string> key_types_;
    std::string stand_in_; // for the view, which isn't there yet
};

} // namespace

void require_refreshable(pg::Spi &spi, const Site &site, const SiteView &view) {
    Check(spi, site, view).run();
}

} // namespace wc::schema

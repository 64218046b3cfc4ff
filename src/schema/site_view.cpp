// Adding and removing materialized views of the site's own.
#include "schema/site_view.hpp"

#include "core/direct_keys.hpp"
#include "core/template.hpp"
#include "pg/membership.hpp"
#include "pg/relation.hpp"
#include "pg/transaction.hpp"
#include "schema/locks.hpp"
#include "schema/views.hpp"

#include <algorithm>

namespace wc::schema {

namespace {

// What a name of the server's has room for, less the end of the index's name.
constexpr size_t longest_name = NAMEDATALEN - 1 - 5;
constexpr size_t longest_text = 100000; // of a definition or a template
constexpr size_t most_keys = 8;         // columns

const char *const names_hint = "Use letters, digits and underscores, and begin with a letter.";

[[noreturn]] void refuse(const std::string &message, const std::string &detail, const std::string &hint) {
    throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, message, detail, hint);
}

// Letters beyond ASCII are letters.
bool is_identifier(const std::string &name) {
    return !name.empty() && std::isdigit(static_cast<unsigned char>(name.front())) == 0 && name.front() != '$' &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || (c & 0x80) != 0;
           });
}

void require_text(const std::string &what, const std::string &text) {
    if (core::trim(text).empty())
        refuse(what + " must not be empty", {}, "Give one SELECT.");
    if (text.size() > longest_text)
        refuse(what + " is too long", "It has " + std::to_string(text.size()) + " bytes.",
               "The limit is " + std::to_string(longest_text) + " bytes.");
}

void require_arguments(const SiteView &view) {
    if (!is_identifier(view.name) || view.name.starts_with("wc_") || view.name.starts_with("pg_"))
        refuse("the name of a view can't be \"" + view.name + "\"", {},
               std::string(names_hint) + " The beginnings wc_ and pg_ are taken.");
    if (view.name.size() > longest_name)
        refuse("the name of the view is too long", "It has " + std::to_string(view.name.size()) + " bytes.",
               "The limit is " + std::to_string(longest_name) + " bytes: the name of its index is longer by five.");
    require_text("definition", view.definition);
    if (view.key_columns.empty() || view.key_columns.size() > most_keys)
        refuse("key_columns must name one to " + std::to_string(most_keys) + " columns", {},
               "Give the columns of the view that tell its rows apart, for example ARRAY['studentId'].");
    for (auto column = view.key_columns.begin(); column != view.key_columns.end(); ++column) {
        if (!is_identifier(*column) || std::any_of(column->begin(), column->end(), [](char c) { return c & 0x80; }))
            refuse("the name of a key column can't be \"" + *column + "\"", {},
                   std::string(names_hint) + " The definition can give the column such a name with AS.");
        if (std::find(view.key_columns.begin(), column, *column) != column)
            refuse("key column \"" + *column + "\" is named twice", {}, "Name each column once.");
    }
    for (const auto &[table, keys] : view.sources)
        require_text("the source of table \"" + table + "\"", keys);
    if (view.keys_between)
        require_text("keys_between", *view.keys_between);
    if (view.next_moment)
        require_text("next_moment", *view.next_moment);
    if (view.keys_between.has_value() != view.next_moment.has_value())
        refuse("keys_between and next_moment belong together",
               "The one tells which keys change by time alone, the other when that happens next.",
               "Give both, or neither; where it happens once a day, next_moment is 'SELECT {next day}'.");
}

void require_free(pg::Spi &spi, const Site &site, const std::string &name) {
    const Catalogue &from = site.catalogue();
    for (const std::string &taken : {name, name + "_pkey"}) {
        const auto found =
            spi.value("SELECT CASE WHEN d.of_site THEN 'view of the site''s own' ELSE 'managed object' END"
                      "  FROM (SELECT name, of_site FROM " +
                          from.views + " UNION ALL SELECT name, false FROM " + from.indexes +
                          " UNION ALL SELECT name, false FROM " + site.extension_schema() +
                          ".wc_constraint_definition) AS d WHERE d.name = $1 LIMIT 1",
                      {taken});
        if (found)
            throw pg::Error(ERRCODE_DUPLICATE_OBJECT, "a " + *found + " has the name \"" + taken + "\" already", {},
                            *found == "managed object"
                                ? "Choose another name."
                                : "Choose another name, or take that one away with wc_remove_view().");
        if (OidIsValid(pg::find_relation(site.setting("base_schema"), taken)))
            throw pg::Error(ERRCODE_DUPLICATE_TABLE, "relation \"" + taken + "\" already exists",
                            taken == name ? "" : "The unique index of the view would have that name.",
                            "Choose another name.");
    }
}

// The text of a template or definition as it is kept: without a semicolon at its end, and with the end of a comment.
std::string kept(const std::string &text) {
    std::string_view rest = core::trim(text);
    if (rest.ends_with(';'))
        rest = core::trim(rest.substr(0, rest.size() - 1));
    return std::string(rest) + (rest.find("--") == std::string_view::npos ? "" : "\n");
}

pg::Text kept(const pg::Text &text) {
    return text ? pg::Text(kept(*text)) : pg::Text();
}

std::string object_of(pg::Spi &spi, const std::map<std::string, std::string> &texts) {
    std::vector<std::string> names;
    std::vector<std::string> values;
    for (const auto &[name, text] : texts) {
        names.push_back(name);
        values.push_back(text);
    }
    return *spi.value("SELECT pg_catalog.jsonb_object($1::text[], $2::text[])",
                      {core::array_literal(names), core::array_literal(values)});
}

void enter(pg::Spi &spi, const Site &site, const SiteView &view) {
    std::set<std::string> tables;
    std::map<std::string, std::string> direct;
    try {
        if (!core::has_key_marks(view.definition))
            throw pg::Error(ERRCODE_FEATURE_NOT_SUPPORTED, "the definition does not say how it is restricted to keys",
                            "It has no {only ...}, so a refresh of some keys would compute all of it.",
                            "After a WHERE, write {only alias.\"column\"} where the column is the key.");
        tables = core::table_names(core::choose_sections(view.definition, true));
        for (const auto &[table, keys] : view.sources)
            tables.merge(core::table_names(keys));
        if (view.keys_between)
            tables.merge(core::table_names(*view.keys_between));
        if (view.next_moment)
            tables.merge(core::table_names(*view.next_moment));
        direct = core::direct_sources(view.definition, view.key_columns.size());
    } catch (const std::invalid_argument &error) {
        throw pg::Error(ERRCODE_SYNTAX_ERROR, error.what(), {},
                        "Placeholders are {table: column, ...}, {only alias.\"column\"}, {now}, {today}, {timezone}; a "
                        "brace itself is written twice.");
    }
    if (tables.empty())
        throw pg::Error(ERRCODE_FEATURE_NOT_SUPPORTED, "the definition reads no table", {},
                        "Write {table: column, ...} where the definition reads one.");
    spi.query("INSERT INTO " + site.extension_schema() +
                  ".wc_site_view (name, key_columns, comment, definition, keys_between, next_moment, sources, direct,"
                  "  tables) VALUES ($1, $2::text[], $3, $4, $5, $6, $7::jsonb, $8::jsonb, $9::text[])",
              {view.name, core::array_literal(view.key_columns),
               view.comment.value_or("Materialized view of this site."), view.definition, view.keys_between,
               view.next_moment, object_of(spi, view.sources), object_of(spi, direct),
               core::array_literal({tables.begin(), tables.end()})});
}

// Every object of a view: itself, its index, the triggers of its tables.
Choice objects_of(const std::string &name, const std::set<std::string> &tables) {
    return [name, tables](const Definition &object) {
        return object.is_trigger() ? tables.count(object.table) > 0 : object.table == name;
    };
}

// The tables that a view reads: those that its texts name, and those that mappings look something up in.
std::set<std::string> tables_of(pg::Spi &spi, const Site &site, const std::string &name) {
    std::set<std::string> tables;
    for (auto &row : spi.query("SELECT pg_catalog.unnest(tables), definition FROM " + site.extension_schema() +
                                   ".wc_site_view WHERE name = $1",
                               {name})
                         .rows) {
        if (tables.empty())
            try {
                (void)expand_view(site, *row[1], &tables);
            } catch (const pg::Error &error) { // a table that is gone has no triggers
                if (error.sqlstate() != ERRCODE_UNDEFINED_TABLE && error.sqlstate() != ERRCODE_UNDEFINED_COLUMN)
                    throw;
            }
        tables.insert(*row[0]);
    }
    return tables;
}

// Throws for what could not be made, mended or taken away; that a view could not be filled is the caller's to tell.
void require_done(const std::vector<Action> &actions, const std::string &message) {
    for (const Action &action : actions) {
        const bool undone = action.action == "pending" || action.action == "outdated" || action.action == "conflict" ||
                            action.action == "kept";
        if (!undone || action.reason.starts_with("not filled: "))
            continue;
        const bool locked = action.reason.starts_with("no lock on ") ||
                            action.reason.find(pg::sqlstate_text(ERRCODE_LOCK_NOT_AVAILABLE)) != std::string::npos;
        throw pg::Error(locked ? ERRCODE_LOCK_NOT_AVAILABLE : ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message,
                        "Of " + action.kind + " " + action.name + ": " + action.reason + ".",
                        locked ? "Try again at a quiet time." : "");
    }
}

} // namespace

std::vector<Action> add_view(pg::Spi &spi, const SiteView &given) {
    SiteView view = given;
    require_arguments(view);
    view.definition = kept(view.definition);
    view.keys_between = kept(view.keys_between);
    view.next_moment = kept(view.next_moment);
    for (auto &[table, keys] : view.sources)
        keys = kept(keys);
    one_at_a_time(spi, "wc_add_view()");
    {
        const Site site(spi);
        require_free(spi, site, view.name);
        enter(spi, site, view);
    }
    // What is looked at is locked; these locks are let go of, for the ones that installing takes come in an order.
    struct TakeBack {};
    try {
        const auto failure = pg::attempt([&] {
            const Site site(spi);
            require_refreshable(spi, site, view);
            throw TakeBack();
        });
        if (failure)
            throw *failure;
    } catch (const TakeBack &) {
    }
    const Site site(spi);
    const auto actions = install_chosen(spi, "wc_add_view()", objects_of(view.name, tables_of(spi, site, view.name)));
    require_done(actions, "the view can't be made now");
    return actions;
}

std::vector<Action> remove_view(pg::Spi &spi, const std::string &name) {
    one_at_a_time(spi, "wc_remove_view()");
    const Site site(spi);
    const std::string ext = site.extension_schema() + ".";
    const auto of_site = spi.value("SELECT of_site::text FROM " + site.catalogue().views + " WHERE name = $1", {name});
    if (!of_site)
        throw pg::Error(ERRCODE_UNDEFINED_OBJECT, "no view of the site's own has the given name", {},
                        "SELECT name FROM wc_site_view lists them.");
    if (of_site != "true")
        throw pg::Error(ERRCODE_WRONG_OBJECT_TYPE, "\"" + name + "\" is a view of the extension's",
                        "Only views that wc_add_view() has added can be removed.",
                        "Use wc_disable() to do without it.");
    const State state = find_state(spi, site, name);
    const std::set<std::string> tables = tables_of(spi, site, name);
    if (state.ours())
        if (const std::string names = dependents(spi, state.oid); !names.empty())
            throw pg::Error(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST, "cannot remove view \"" + name + "\"",
                            "Others depend on it: " + names + ".", "Drop what depends on it, and try again.");
    std::vector<Action> actions = drop_chosen(
        spi, "wc_remove_view()", [&](const Definition &object) { return !object.is_trigger() && object.table == name; },
        {}, false);
    require_done(actions, "cannot remove view \"" + name + "\" now");
    for (const char *const from :
         {"wc_site_view WHERE name", "wc_registry WHERE table_name", "wc_site_schedule WHERE view_name",
          "wc_view_state WHERE view_name", "wc_refresh_log WHERE view_name"})
        spi.query("DELETE FROM " + ext + from + " = $1", {name});
    // The triggers of its tables note what the other views need.
    const auto triggers = install_chosen(spi, "wc_remove_view()", [&](const Definition &object) {
        return object.is_trigger() && tables.count(object.table) > 0;
    });
    require_done(triggers, "cannot remove view \"" + name + "\" now");
    spi.query(
        "DELETE FROM " + ext +
        "wc_registry WHERE kind = 'trigger' AND NOT made AND NOT disabled AND table_name NOT IN (SELECT table_name FROM " +
        site.catalogue().tables + ")");
    actions.insert(actions.end(), triggers.begin(), triggers.end());
    return actions;
}

} // namespace wc::schema

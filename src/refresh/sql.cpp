// The room's SQL functions.
#include "core/schedule.hpp"
#include "pg/function.hpp"
#include "pg/membership.hpp"
#include "pg/transaction.hpp"
#include "refresh/capture.hpp"
#include "refresh/refresh.hpp"
#include "refresh/replicated.hpp"
#include "refresh/site_view.hpp"
#include "refresh/verify.hpp"

namespace wc::refresh {

namespace {

core::Mode mode_argument(FunctionCallInfo fcinfo, int index) {
    const std::string text = pg::required_text(fcinfo, index, "mode");
    if (const auto mode = core::parse_mode(text))
        return *mode;
    throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "unknown refresh mode: \"" + text + "\"", {},
                    "The modes are " + core::mode_names() + ".");
}

core::Conflict conflict_argument(FunctionCallInfo fcinfo, int index) {
    const std::string text = pg::required_text(fcinfo, index, "on_conflict");
    if (const auto conflict = core::parse_conflict(text))
        return *conflict;
    throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "unknown value for on_conflict: \"" + text + "\"", {},
                    "The values are " + core::conflict_names() + ".");
}

std::vector<schema::View> installed(const std::vector<schema::View> &views) {
    std::vector<schema::View> found;
    for (const auto &view : views)
        if (OidIsValid(view.relid))
            found.push_back(view);
    return found;
}

// The installed views of a group of the schedule. Throws 22023 for a group that there isn't.
std::vector<schema::View> views_of_group(pg::Spi &spi, const std::string &group) {
    if (!core::schedule::group(group)) {
        std::string known;
        for (const auto one : core::schedule::groups)
            known += (known.empty() ? "\"" : ", \"") + std::string(core::schedule::name(one)) + '"';
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "unknown refresh group: \"" + group + "\"", {},
                        "The groups are " + known + ".");
    }
    const std::string schema = pg::quote_name(pg::extension_schema());
    const auto members =
        spi.query("SELECT view_name FROM " + schema + ".wc_view_schedule WHERE schedule = $1", {group}).rows;
    std::set<std::string> names;
    for (const auto &member : members)
        names.insert(*member[0]);
    std::vector<schema::View> views;
    for (auto &view : installed(schema::views(spi)))
        if (names.count(view.name) > 0)
            views.push_back(view);
    return views;
}

// The sources of wc_add_view(): an object of table names and queries. Throws 22023 for anything else.
std::map<std::string, std::string> sources_argument(pg::Spi &spi, const pg::Text &sources) {
    std::map<std::string, std::string> by_table;
    if (!sources)
        return by_table;
    if (spi.value("SELECT pg_catalog.jsonb_typeof($1::jsonb)", {sources}) != "object")
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "sources must be a JSON object", {},
                        "Give a query by table: {\"medications\": \"SELECT ... FROM {changed: id} AS c ...\"}.");
    for (auto &row : spi.query("SELECT e.key, CASE pg_catalog.jsonb_typeof(e.value) WHEN 'string' THEN"
                               "         e.value #>> '{}' END"
                               "  FROM pg_catalog.jsonb_each($1::jsonb) AS e(key, value)",
                               {sources})
                         .rows) {
        if (!row[1])
            throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "sources has no query for table \"" + *row[0] + "\"", {},
                            "Give the query as a text, or leave the table out.");
        by_table[*row[0]] = *row[1];
    }
    return by_table;
}

Datum refreshed(FunctionCallInfo fcinfo, const Request &request) {
    const auto outcomes = refresh(request);
    pg::ResultSet result(fcinfo);
    for (const auto &outcome : outcomes)
        result.add(row(outcome));
    return result.done();
}

} // namespace

} // namespace wc::refresh

using namespace wc;

// wc_refresh(view_name, mode, on_conflict): one view.
WC_FUNCTION(wc_refresh) {
    refresh::Request request;
    request.function = "wc_refresh()";
    pg::require_writable(request.function);
    const std::string name = pg::required_text(fcinfo, 0, "view_name");
    request.mode = refresh::mode_argument(fcinfo, 1);
    request.conflict = refresh::conflict_argument(fcinfo, 2);
    {
        pg::Spi spi;
        request.views = {schema::view(spi, name)};
    }
    return refresh::refreshed(fcinfo, request);
}

// wc_refresh_all(mode, workers, on_conflict): every view that is installed.
WC_FUNCTION(wc_refresh_all) {
    refresh::Request request;
    request.function = "wc_refresh_all()";
    pg::require_writable(request.function);
    request.mode = refresh::mode_argument(fcinfo, 0);
    request.workers = pg::int_argument(fcinfo, 1);
    request.conflict = refresh::conflict_argument(fcinfo, 2);
    {
        pg::Spi spi;
        request.views = refresh::installed(schema::views(spi));
    }
    return refresh::refreshed(fcinfo, request);
}

// wc_refresh_group(name): the views of one group of the schedule.
WC_FUNCTION(wc_refresh_group) {
    refresh::Request request;
    request.function = "wc_refresh_group()";
    pg::require_writable(request.function);
    const std::string name = pg::required_text(fcinfo, 0, "name");
    {
        pg::Spi spi;
        request.views = refresh::views_of_group(spi, name);
    }
    return refresh::refreshed(fcinfo, request);
}

// wc_capture(): trigger on a base table. Arguments: see src/refresh/capture.cpp.
WC_FUNCTION(wc_capture) {
    refresh::on_capture(fcinfo);
    return static_cast<Datum>(0);
}

// wc_ignore_replicated(): trigger on the tables of the extension. Returns the row, or nothing to a replication worker.
WC_FUNCTION(wc_ignore_replicated) {
    return refresh::without_replicated(fcinfo);
}

// wc_verify(view_name) -> view_name, missing, extra, pending: one view, or each that is installed.
WC_FUNCTION(wc_verify) {
    const auto name = pg::text_argument(fcinfo, 0);
    std::vector<schema::View> views;
    {
        pg::Spi spi;
        if (name)
            views.push_back(schema::view(spi, *name));
        else
            views = schema::views(spi);
    }
    const auto number = [](const std::optional<int64_t> &value) {
        return value ? pg::Text(std::to_string(*value)) : pg::Text();
    };
    pg::ResultSet rows(fcinfo);
    for (const auto &view : refresh::installed(views)) {
        const refresh::Verdict verdict = refresh::verify(view);
        rows.add({view.name, number(verdict.missing), number(verdict.extra), number(verdict.pending)});
    }
    return rows.done();
}

// wc_add_view(name, definition, key_columns, sources, keys_between, next_moment, comment) -> as wc_install: what was
// made. Errors: see refresh::add_view.
WC_FUNCTION(wc_add_view) {
    pg::require_writable("wc_add_view()");
    schema::SiteView view;
    view.name = pg::required_text(fcinfo, 0, "name");
    view.definition = pg::required_text(fcinfo, 1, "definition");
    view.key_columns = pg::required_texts(fcinfo, 2, "key_columns");
    const pg::Text sources = pg::argument_as_text(fcinfo, 3);
    view.keys_between = pg::text_argument(fcinfo, 4);
    view.next_moment = pg::text_argument(fcinfo, 5);
    view.comment = pg::text_argument(fcinfo, 6);
    pg::Spi spi;
    view.sources = refresh::sources_argument(spi, sources);
    return schema::return_actions(fcinfo, refresh::add_view(spi, view));
}

// wc_remove_view(name) -> as wc_install: what was taken away. Errors: 42704 unknown, 42809 a shipped view, 2BP01 others
// depend on it.
WC_FUNCTION(wc_remove_view) {
    pg::require_writable("wc_remove_view()");
    const std::string name = pg::required_text(fcinfo, 0, "name");
    pg::Spi spi;
    return schema::return_actions(fcinfo, refresh::remove_view(spi, name));
}

// Materialized views of the site's own.
#include "refresh/site_view.hpp"

#include "pg/membership.hpp"
#include "refresh/schedule.hpp"

namespace wc::refresh {

namespace {

int sqlstate_of(const std::string &text) {
    return text.size() == 5 ? MAKE_SQLSTATE(text[0], text[1], text[2], text[3], text[4]) : ERRCODE_INTERNAL_ERROR;
}

// It was made and could not be filled: the log knows why, in words that hold no value of a row.
[[noreturn]] void throw_unfilled(pg::Spi &spi, const std::string &ext, const schema::SiteView &view) {
    const auto failed =
        spi.query("SELECT sqlstate, message FROM " + ext +
                      "wc_refresh_log WHERE view_name = $1 AND status = 'failed' ORDER BY id DESC LIMIT 1",
                  {view.name})
            .rows;
    const int sqlstate = failed.empty() ? ERRCODE_INTERNAL_ERROR : sqlstate_of(failed[0][0].value_or(""));
    const std::string why = failed.empty() ? "unknown" : failed[0][1].value_or("unknown");
    throw pg::Error(sqlstate, "view \"" + view.name + "\" could not be filled", "The reason: " + why + ".",
                    sqlstate == ERRCODE_UNIQUE_VIOLATION
                        ? "Several rows of the definition have the same key: choose key_columns that tell them apart."
                        : "Run the definition by itself, as the owner of table students, to see more.");
}

} // namespace

std::vector<schema::Action> add_view(pg::Spi &spi, const schema::SiteView &view) {
    // What is written between the transaction's snapshot and the moment at which the triggers are there would be in
    // neither the view nor the change log.
    if (IsolationUsesXactSnapshot())
        throw pg::Error(ERRCODE_ACTIVE_SQL_TRANSACTION,
                        "cannot execute wc_add_view() inside a REPEATABLE READ or SERIALIZABLE transaction", {},
                        "Call it in a READ COMMITTED transaction.");
    const auto actions = schema::add_view(spi, view);
    const std::string ext = pg::quote_name(pg::extension_schema()) + ".";
    for (const schema::Action &action : actions)
        if (action.action == "pending")
            throw_unfilled(spi, ext, view);
    const auto problem = spi.value(
        "SELECT nullif(plan ->> 'problem', '') FROM " + ext + "wc_view_state WHERE view_name = $1", {view.name});
    if (problem)
        throw pg::Error(ERRCODE_FEATURE_NOT_SUPPORTED, "the definition can't be refreshed by keys",
                        "The reason: " + *problem + ".",
                        "Each table of it needs its {only ...}; what looks at several keys at once, such as a window "
                        "function or a LIMIT, has no place outside of those.");
    follow_schedule(spi);
    return actions;
}

std::vector<schema::Action> remove_view(pg::Spi &spi, const std::string &name) {
    auto actions = schema::remove_view(spi, name);
    follow_schedule(spi);
    return actions;
}

} // namespace wc::refresh

// How the health of databases is shown in SQL.
#include "monitor/health_shown.hpp"

#include "observe/shown.hpp"
#include "pg/guc.hpp"

extern "C" {
#include "catalog/pg_database.h"
}

namespace wc::monitor::health {

namespace {

constexpr const char *switched_off = "health checks are off: whitecross.health_interval is 0";

std::vector<pg::Text> lines(const char *text) {
    std::vector<pg::Text> out;
    while (*text != '\0') {
        const size_t length = strcspn(text, "\n");
        out.emplace_back(std::string(text, length));
        text += length + (text[length] == '\n' ? 1 : 0);
    }
    return out;
}

bool is_template(Oid database) {
    return pg::call([=] {
        HeapTuple tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
        if (!HeapTupleIsValid(tuple))
            return false;
        const bool found = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple))->datistemplate;
        ReleaseSysCache(tuple);
        return found;
    });
}

} // namespace

pg::Row shown(const registry::Database &database) {
    std::string reason = database.reason;
    const auto add = [&reason](const std::string &more) { reason += (reason.empty() ? "" : "; ") + more; };
    if (database.unchecked != 0)
        add("it can't be checked since " + *observe::shown::moment(database.unchecked) + ": " + database.why_unchecked);
    if (pg::settings::health_interval == 0)
        add(switched_off);
    else if (!database.health.checked && database.unchecked == 0)
        add("it is not checked yet");
    const bool checked = database.health.checked;
    return {checked ? pg::Text(database.health.unhealthy ? "false" : "true") : pg::Text(),
            std::to_string(database.health.failures),
            observe::shown::moment(database.last_check),
            observe::shown::moment(database.last_failure),
            checked ? pg::Text(std::to_string(database.duration_ms)) : pg::Text(),
            observe::shown::array(lines(database.failing)),
            reason.empty() ? pg::Text() : pg::Text(reason)};
}

pg::Row shown_unknown(Oid database) {
    std::string reason = "it is not checked yet";
    if (is_template(database))
        reason = "a template is not checked: whoever copies it wants it to himself";
    else if (registry::left_out() > 0)
        reason = "there is no room for it: the health of " + std::to_string(registry::most) + " databases is kept";
    else if (pg::settings::health_interval == 0)
        reason = switched_off;
    else if (const TimestampTz since = registry::without_process(); since != 0)
        reason = "it can't be checked since " + *observe::shown::moment(since) + ": " + registry::no_process;
    return {{}, "0", {}, {}, {}, observe::shown::array({}), reason};
}

} // namespace wc::monitor::health

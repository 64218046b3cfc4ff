// When each view is refreshed, and the jobs of pg_cron that see to it.
#include "refresh/schedule.hpp"

#include "pg/guc.hpp"
#include "pg/membership.hpp"
#include "pg/transaction.hpp"
#include "refresh/cron_elsewhere.hpp"
#include "refresh/record.hpp"

extern "C" {
#include "commands/dbcommands.h"
#include "pgtime.h"
}

namespace wc::refresh {

namespace times = core::schedule;

namespace {

constexpr const char *schedule_names = "\"hourly\", \"six_hourly\", \"daily\" and \"off\"";

// A time zone's offset at an instant, as the server's own tables have it.
times::OffsetAt zone_offset(const std::string &zone) {
    const char *name = zone.c_str();
    pg_tz *const found = pg::call([=] { return pg_tzset(name); }); // kept by the server for the session's life
    if (found == nullptr)
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "time zone \"" + zone + "\" not recognized", {},
                        "Set it with wc_configure('timezone', ...); the view pg_timezone_names lists them.");
    return [found](times::Instant at) -> std::int64_t {
        const pg_time_t time = at;
        const struct pg_tm *local = pg_localtime(&time, found);
        return local != nullptr ? local->tm_gmtoff : 0;
    };
}

// The zone in which pg_cron reads schedules: a setting since 1.5, GMT before.
times::OffsetAt scheduler_offset() {
    const char *zone = pg::call([] { return GetConfigOption("cron.timezone", true, false); });
    return zone_offset(zone != nullptr ? zone : "GMT");
}

// The clock of the views, in whole seconds.
times::Instant clock(pg::Spi &spi) {
    return std::stoll(*spi.value(
        "SELECT pg_catalog.floor(EXTRACT(epoch FROM coalesce("
        "nullif(pg_catalog.current_setting('whitecross.now', true), '')::timestamptz, pg_catalog.now())))::int8"));
}

struct Scheduled {
    std::string view;
    times::Group group;
    std::int64_t at; // seconds after midnight; daily only
};

// What is scheduled, but for views that the site has disabled.
std::vector<Scheduled> scheduled_views(pg::Spi &spi) {
    const std::string schema = pg::quote_name(pg::extension_schema());
    const auto result = spi.query("SELECT s.view_name, s.schedule, EXTRACT(epoch FROM s.at_time)::int8"
                                  "  FROM " +
                                  schema +
                                  ".wc_view_schedule AS s"
                                  " WHERE s.schedule <> 'off' AND NOT EXISTS ("
                                  "   SELECT FROM " +
                                  schema +
                                  ".wc_registry AS r WHERE r.name = s.view_name AND r.disabled)"
                                  " ORDER BY s.view_name");
    std::vector<Scheduled> views;
    for (const auto &row : result.rows)
        if (const auto group = times::group(*row[1]))
            views.push_back({*row[0], *group, row[2] ? std::stoll(*row[2]) : 0});
    return views;
}

// The jobs of the groups that have a view.
std::vector<cron::Job> wanted_jobs(pg::Spi &spi, const std::string &database) {
    const std::string schema = pg::quote_name(pg::extension_schema());
    const std::vector<Scheduled> views = scheduled_views(spi);
    std::vector<cron::Job> jobs;
    for (const times::Group group : times::groups) {
        std::vector<std::int64_t> at;
        for (const Scheduled &view : views)
            if (view.group == group)
                at.push_back(view.at);
        if (at.empty())
            continue;
        std::set<int> minutes;
        if (group == times::Group::daily)
            minutes = times::minutes_of(clock(spi), at, zone_offset(schema::configuration(spi, "timezone")),
                                        scheduler_offset());
        jobs.push_back({times::job_name(database, group), times::cron_expression(group, minutes),
                        "CALL " + schema + ".wc_run_schedule('" + std::string(times::name(group)) + "')"});
    }
    return jobs;
}

std::string extension_owner(pg::Spi &spi) {
    return *spi.value("SELECT r.rolname FROM pg_catalog.pg_extension AS e"
                      "  JOIN pg_catalog.pg_roles AS r ON r.oid = e.extowner WHERE e.extname = 'whitecross'");
}

// Throws where the role could not run a job.
void check_role(pg::Spi &spi, const std::string &role, bool named) {
    const std::string schema = pg::quote_name(pg::extension_schema());
    const auto result =
        spi.query("SELECT r.rolcanlogin,"
                  "       pg_catalog.has_schema_privilege(r.oid, $2, 'USAGE')"
                  "   AND pg_catalog.has_function_privilege(r.oid, $2 || '.wc_run_schedule(text)', 'EXECUTE')"
                  "   AND pg_catalog.has_function_privilege(r.oid, $2 || '.wc_refresh_due(text)', 'EXECUTE')"
                  "  FROM pg_catalog.pg_roles AS r WHERE r.rolname = $1::name",
                  {role, schema});
    if (result.rows.empty())
        throw pg::Error(ERRCODE_UNDEFINED_OBJECT, "role \"" + role + "\" does not exist");
    if (result.rows[0][0] != "t")
        throw pg::Error(
            ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "role \"" + role + "\" cannot log in",
            named ? "A job of pg_cron connects as its role."
                  : "A job of pg_cron connects as its role, which is the extension's owner unless you name one.",
            "Name a role that can: SELECT * FROM " + schema + ".wc_schedule(run_as => 'role').");
    if (result.rows[0][1] != "t")
        throw pg::Error(ERRCODE_INSUFFICIENT_PRIVILEGE, "role \"" + role + "\" may not run the scheduled refresh", {},
                        "GRANT USAGE ON SCHEMA " + schema + " TO " + pg::quote_name(role) +
                            "; GRANT EXECUTE ON PROCEDURE " + schema + ".wc_run_schedule(text) TO " +
                            pg::quote_name(role) + "; GRANT EXECUTE ON FUNCTION " + schema +
                            ".wc_refresh_due(text) TO " + pg::quote_name(role) + ";");
}

cron::Change change_for(pg::Spi &spi, cron::Change::Kind kind, const pg::Text &run_as) {
    cron::Change change;
    change.kind = kind;
    change.database = *spi.value("SELECT pg_catalog.current_database()");
    change.run_as = run_as.value_or("");
    change.owner = extension_owner(spi);
    if (kind != cron::Change::Kind::remove)
        change.jobs = wanted_jobs(spi, change.database);
    return change;
}

std::vector<cron::Outcome> make(pg::Spi &spi, const cron::Scheduler &scheduler, const cron::Change &change) {
    if (scheduler.place() == cron::Place::here) {
        pg::SettingScope settings;
        settings.set("lock_timeout", std::to_string(pg::settings::lock_timeout).c_str());
        return cron::apply(spi, change);
    }
    cron::at_commit(change);
    std::vector<cron::Outcome> outcomes;
    for (const cron::Job &job : change.jobs)
        outcomes.push_back({job, "at commit"});
    return outcomes;
}

} // namespace

std::vector<cron::Outcome> schedule(pg::Spi &spi, const pg::Text &run_as) {
    pg::require_writable("wc_schedule()");
    const cron::Scheduler scheduler = cron::find(spi);
    cron::require(scheduler);
    const cron::Change change = change_for(spi, cron::Change::Kind::replace, run_as);
    check_role(spi, run_as.value_or(change.owner), run_as.has_value());
    return make(spi, scheduler, change);
}

std::vector<cron::Outcome> unschedule(pg::Spi &spi) {
    pg::require_writable("wc_unschedule()");
    const cron::Scheduler scheduler = cron::find(spi);
    if (scheduler.place() == cron::Place::absent)
        return {};
    return make(spi, scheduler, change_for(spi, cron::Change::Kind::remove, {}));
}

void set_schedule(pg::Spi &spi, const std::string &view, const std::string &schedule, const pg::Text &at_time) {
    pg::require_writable("wc_set_schedule()");
    const std::string name = schema::view(spi, view).name;
    if (schedule != "off" && !times::group(schedule))
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "unknown schedule \"" + schedule + "\"", {},
                        std::string("Schedules are ") + schedule_names + ".");
    if (at_time && schedule != "daily")
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "a time of day belongs to schedule \"daily\" only",
                        "Schedule \"" + schedule + "\" takes none.",
                        "Leave at_time out, or choose schedule \"daily\".");
    spi.query("INSERT INTO " + pg::quote_name(pg::extension_schema()) +
                  ".wc_site_schedule AS s (view_name, schedule, at_time) VALUES ($1, $2, $3::time) "
                  "ON CONFLICT (view_name) DO UPDATE SET schedule = excluded.schedule, at_time = excluded.at_time",
              {name, schedule, schedule == "daily" ? pg::Text(at_time.value_or("02:00")) : pg::Text()});
    follow_schedule(spi);
}

void follow_schedule(pg::Spi &spi) {
    const cron::Scheduler scheduler = cron::find(spi);
    if (scheduler.place() != cron::Place::absent)
        (void)make(spi, scheduler, change_for(spi, cron::Change::Kind::follow, {}));
}

std::vector<schema::View> due_views(pg::Spi &spi, times::Group group) {
    const std::string log = pg::quote_name(pg::extension_schema()) + ".wc_refresh_log";
    std::vector<schema::View> due;
    for (const Scheduled &scheduled : scheduled_views(spi)) {
        if (scheduled.group != group)
            continue;
        if (group == times::Group::daily) {
            const auto last =
                spi.value("SELECT pg_catalog.floor(EXTRACT(epoch FROM pg_catalog.max(started_at)))::int8 FROM " + log +
                              " WHERE view_name = $1 AND origin = 'schedule' AND status = 'refreshed'",
                          {scheduled.view});
            const auto zone = zone_offset(schema::configuration(spi, "timezone"));
            if (!times::daily_due(clock(spi), scheduled.at, zone,
                                  last ? std::optional<times::Instant>(std::stoll(*last)) : std::nullopt))
                continue;
        }
        due.push_back(schema::view(spi, scheduled.view));
    }
    return due;
}

std::vector<Outcome> refresh_due(pg::Spi &spi, const std::string &group) {
    pg::require_writable("wc_refresh_due()");
    const auto known = times::group(group);
    if (!known)
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "unknown schedule \"" + group + "\"", {},
                        "Schedules with a job are \"hourly\", \"six_hourly\" and \"daily\".");
    Request request;
    request.conflict = core::Conflict::Skip;
    request.origin = Origin::Schedule;
    request.function = "wc_refresh_due()";
    std::vector<Outcome> skipped;
    for (schema::View &view : due_views(spi, *known)) {
        if (OidIsValid(view.relid)) {
            request.views.push_back(std::move(view));
            continue;
        }
        Job job;
        job.view = view.name;
        job.origin = Origin::Schedule;
        Outcome outcome;
        outcome.view = view.name;
        outcome.status = Outcome::Status::Skipped;
        outcome.message = view.name + " is not installed";
        record(job, outcome, pg::call([] { return GetCurrentTimestamp(); }), {});
        skipped.push_back(std::move(outcome));
    }
    std::vector<Outcome> outcomes;
    if (!request.views.empty())
        outcomes = refresh(request);
    outcomes.insert(outcomes.end(), skipped.begin(), skipped.end());
    return outcomes;
}

void schedule_after_install(pg::Spi &spi) {
    if (CurrentExtensionObject == InvalidOid || CurrentExtensionObject != pg::extension_oid())
        return;
    if (cron::find(spi).place() != cron::Place::here)
        return;
    const auto views = schema::views(spi);
    if (std::none_of(views.begin(), views.end(), [](const schema::View &view) { return OidIsValid(view.relid); }))
        return;
    const auto failure = pg::attempt([&] { (void)schedule(spi, {}); });
    if (!failure)
        return;
    const std::string condition = pg::condition_name(failure->sqlstate());
    const char *const text = condition.c_str();
    pg::call([=] {
        ereport(WARNING, (errmsg("the views were installed but not scheduled (%s)", text),
                          errhint("Run SELECT * FROM wc_schedule() to see why.")));
    });
}

} // namespace wc::refresh

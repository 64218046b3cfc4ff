// SQL-visible functions of schedules: thin, no logic.
#include "pg/function.hpp"
#include "pg/membership.hpp"
#include "refresh/cron_elsewhere.hpp"
#include "refresh/schedule.hpp"

extern "C" {
#include "commands/event_trigger.h"
}

using namespace wc;

namespace {

Datum return_jobs(FunctionCallInfo fcinfo, const std::vector<refresh::cron::Outcome> &outcomes) {
    pg::ResultSet result(fcinfo);
    for (const auto &outcome : outcomes)
        result.add({outcome.job.name, outcome.job.schedule, outcome.job.command, outcome.status});
    return result.done();
}

} // namespace

WC_FUNCTION(wc_schedule) {
    const pg::Text run_as = pg::text_argument(fcinfo, 0);
    std::vector<refresh::cron::Outcome> outcomes;
    {
        pg::Spi spi;
        outcomes = refresh::schedule(spi, run_as);
    }
    return return_jobs(fcinfo, outcomes);
}

WC_FUNCTION(wc_unschedule) {
    std::vector<refresh::cron::Outcome> outcomes;
    {
        pg::Spi spi;
        outcomes = refresh::unschedule(spi);
    }
    return return_jobs(fcinfo, outcomes);
}

WC_FUNCTION(wc_set_schedule) {
    const std::string view = pg::required_text(fcinfo, 0, "view_name");
    const std::string schedule = pg::required_text(fcinfo, 1, "schedule");
    pg::Text at_time;
    if (!PG_ARGISNULL(2)) {
        const Datum time = PG_GETARG_DATUM(2);
        at_time = pg::call([=] { return DatumGetCString(DirectFunctionCall1(time_out, time)); });
    }
    pg::Spi spi;
    refresh::set_schedule(spi, view, schedule, at_time);
    return pg::return_null(fcinfo);
}

WC_FUNCTION(wc_refresh_due) {
    const std::string group = pg::required_text(fcinfo, 0, "schedule");
    std::vector<refresh::Outcome> outcomes;
    {
        pg::Spi spi;
        outcomes = refresh::refresh_due(spi, group);
    }
    pg::ResultSet result(fcinfo);
    for (const auto &outcome : outcomes)
        result.add(refresh::row(outcome));
    return result.done();
}

// Where pg_cron is: loaded, database, here.
WC_FUNCTION(wc_scheduler) {
    refresh::cron::Scheduler scheduler;
    {
        pg::Spi spi;
        scheduler = refresh::cron::find(spi);
    }
    const auto boolean = [](bool value) { return pg::Text(value ? "true" : "false"); };
    pg::ResultSet result(fcinfo);
    result.add({boolean(scheduler.loaded), scheduler.loaded ? pg::Text(scheduler.database) : pg::Text(),
                boolean(scheduler.here), boolean(scheduler.place() != refresh::cron::Place::absent)});
    return result.done();
}

// Event trigger on what may drop the extension: its jobs go with it.
WC_FUNCTION(wc_watch_drop) {
    if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
        throw pg::Error(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED,
                        "wc_watch_drop() is not called by event trigger");
    if (const Oid extension = pg::extension_oid(); OidIsValid(extension))
        refresh::cron::remove_when_gone(extension);
    return pg::return_null(fcinfo);
}

// When each view is refreshed, and the jobs of pg_cron that see to it.
#pragma once

#include "core/schedule.hpp"
#include "refresh/cron.hpp"
#include "refresh/refresh.hpp"

namespace wc::refresh {

// Makes the jobs of the groups that have a view; removes those of groups that have none. Where pg_cron is in another
// database it happens when the transaction commits (status "at commit").
// run_as: the role of the jobs; empty: as before, or the extension's owner.
// Throws 55000 without pg_cron; 42704, 42501 or 55000 for a role that can't run them.
std::vector<cron::Outcome> schedule(pg::Spi &spi, const pg::Text &run_as);

// Removes the jobs of this database. Without pg_cron there are none.
std::vector<cron::Outcome> unschedule(pg::Spi &spi);

// Gives a view its schedule: hourly, six_hourly, daily or off. at_time: of the site's time zone, for daily only; empty:
// 02:00. Jobs that are there follow.
// Throws 42704 for an unknown view, 22023 for an unknown schedule, or a time where none belongs.
void set_schedule(pg::Spi &spi, const std::string &view, const std::string &schedule, const pg::Text &at_time);

// Jobs that are there follow what is scheduled.
void follow_schedule(pg::Spi &spi);

// The views of a group that are due now. Hourly and six-hourly ones are due whenever their job runs.
std::vector<schema::View> due_views(pg::Spi &spi, core::schedule::Group group);

// Refreshes them, with origin schedule; waits for no other refresh. A view that isn't there (suspended, or not
// installed) is skipped, and logged as such. Throws 22023 for an unknown group.
std::vector<Outcome> refresh_due(pg::Spi &spi, const std::string &group);

// While CREATE EXTENSION runs, in the database of pg_cron: the same as schedule() where a view is installed. Anywhere
// else, and without pg_cron, nothing. That it could not be done is a warning, since the extension is complete without.
void schedule_after_install(pg::Spi &spi);

} // namespace wc::refresh

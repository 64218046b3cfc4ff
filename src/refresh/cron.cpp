// Jobs of pg_cron.
#include "refresh/cron.hpp"

#include "core/schedule.hpp"

#include <algorithm>

extern "C" {
#include "common/hashfn.h"
}

namespace wc::refresh::cron {

namespace {

// Whether a list of libraries names one, with or without its folder, its ending and quotes.
bool names_library(std::string_view list, std::string_view library) {
    while (!list.empty()) {
        const size_t comma = std::min(list.find(','), list.size());
        std::string_view item = list.substr(0, comma);
        list.remove_prefix(std::min(comma + 1, list.size()));
        const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '"' || c == '\''; };
        while (!item.empty() && blank(item.front()))
            item.remove_prefix(1);
        while (!item.empty() && blank(item.back()))
            item.remove_suffix(1);
        if (const size_t slash = item.rfind('/'); slash != std::string_view::npos)
            item.remove_prefix(slash + 1);
        if (item.ends_with(".so"))
            item.remove_suffix(3);
        if (item == library)
            return true;
    }
    return false;
}

std::string setting(const char *name) {
    const char *value = pg::call([=] { return GetConfigOption(name, true, false); });
    return value != nullptr ? value : "";
}

// A job of ours as pg_cron has it.
struct Existing {
    std::string id;
    Job job;
    std::string role;
    bool active = false;
};

// Our jobs of a database: by name and by what they run, since another's job may bear any name.
std::vector<Existing> existing_jobs(pg::Spi &spi, const std::string &database) {
    std::vector<Existing> found;
    for (const core::schedule::Group group : core::schedule::groups) {
        const std::string name = core::schedule::job_name(database, group);
        const std::string call = "wc_run_schedule('" + std::string(core::schedule::name(group)) + "')";
        auto result = spi.query("SELECT j.jobid, j.jobname, j.schedule, j.command, j.username, j.active"
                                "  FROM cron.job AS j"
                                " WHERE j.jobname = $1::name AND j.database = $2"
                                "   AND pg_catalog.strpos(j.command, $3) > 0"
                                " ORDER BY j.jobid",
                                {name, database, call});
        for (auto &row : result.rows)
            found.push_back({*row[0], {*row[1], *row[2], *row[3]}, *row[4], *row[5] == "t"});
    }
    return found;
}

bool role_exists(pg::Spi &spi, const std::string &role) {
    return spi.value("SELECT true FROM pg_catalog.pg_roles WHERE rolname = $1::name", {role}).has_value();
}

// As whom the jobs run: as asked, as before, or as the extension's owner.
std::string job_role(pg::Spi &spi, const Change &change, const std::vector<Existing> &existing) {
    if (!change.run_as.empty())
        return change.run_as;
    for (const Existing &each : existing)
        if (role_exists(spi, each.role))
            return each.role;
    return change.owner;
}

} // namespace

Place Scheduler::place() const {
    if (!loaded)
        return Place::absent;
    if (here)
        return installed ? Place::here : Place::absent;
    return exists ? Place::elsewhere : Place::absent;
}

Scheduler find(pg::Spi &spi) {
    Scheduler scheduler;
    // A setting in postgresql.conf alone proves nothing: without the library it is only a placeholder.
    scheduler.loaded = names_library(setting("shared_preload_libraries"), "pg_cron");
    if (!scheduler.loaded)
        return scheduler;
    scheduler.database = setting("cron.database_name");
    const auto result = spi.query("SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = $1::name),"
                                  "       pg_catalog.current_database() = $1::name,"
                                  "       EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'pg_cron')",
                                  {scheduler.database});
    scheduler.exists = result.rows[0][0] == "t";
    scheduler.here = result.rows[0][1] == "t";
    scheduler.installed = scheduler.here && result.rows[0][2] == "t";
    return scheduler;
}

void require(const Scheduler &scheduler) {
    if (scheduler.place() != Place::absent)
        return;
    if (!scheduler.loaded)
        throw pg::Error(
            ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "pg_cron is not loaded",
            "Schedules are run by the extension pg_cron, which this server has not loaded.",
            "Add these lines to postgresql.conf: shared_preload_libraries = 'pg_cron,whitecross' (with what "
            "is there already) and cron.database_name = 'postgres'. Restart the server, and run CREATE "
            "EXTENSION pg_cron in that database.");
    if (!scheduler.exists)
        throw pg::Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                        "database \"" + scheduler.database + "\" of pg_cron does not exist",
                        "pg_cron keeps its jobs in the database that cron.database_name names.",
                        "Set cron.database_name in postgresql.conf to a database that exists, restart the server, and "
                        "run CREATE EXTENSION pg_cron in that database.");
    throw pg::Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "extension \"pg_cron\" is not installed",
                    "pg_cron keeps its jobs in this database (cron.database_name), but the extension is not there.",
                    "Run CREATE EXTENSION pg_cron in this database.");
}

std::vector<Outcome> apply(pg::Spi &spi, const Change &change) {
    if (!spi.value("SELECT true FROM pg_catalog.pg_extension WHERE extname = 'pg_cron'")) {
        if (change.kind != Change::Kind::replace)
            return {}; // no pg_cron, no jobs
        const std::string here = *spi.value("SELECT pg_catalog.current_database()");
        throw pg::Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                        "extension \"pg_cron\" is not installed in database \"" + here + "\"",
                        "pg_cron keeps its jobs in the database that cron.database_name names.",
                        "Connect to database \"" + here + "\" and run CREATE EXTENSION pg_cron.");
    }
    const char *const function = "cron.schedule_in_database(text,text,text,text,text,boolean)";
    if (change.kind != Change::Kind::remove && !spi.value("SELECT pg_catalog.to_regprocedure($1)::oid", {function}))
        throw pg::Error(ERRCODE_FEATURE_NOT_SUPPORTED, "pg_cron is too old",
                        std::string("It has no function ") + function + ".",
                        "Run ALTER EXTENSION pg_cron UPDATE; version 1.4 or later is needed.");

    // One change of a database's jobs at a time: those that another session is about to remove would be gone between
    // being seen and changed. The fourth part of an advisory lock's tag is 1 or 2 for what SQL functions lock, 3 for
    // refreshes: 4 is ours. Two databases of one hash wait for each other, and that is all.
    const char *const database = change.database.c_str();
    const auto length = static_cast<int>(change.database.size());
    pg::call([=] {
        LOCKTAG tag;
        SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0,
                             hash_bytes(reinterpret_cast<const unsigned char *>(database), length), 4);
        (void)LockAcquire(&tag, ExclusiveLock, false, false);
    });
    const std::vector<Existing> existing = existing_jobs(spi, change.database);
    if (change.kind == Change::Kind::follow && existing.empty())
        return {};
    const std::string role = change.kind == Change::Kind::remove ? "" : job_role(spi, change, existing);

    std::vector<Outcome> outcomes;
    std::set<std::string> kept; // names of jobs that stand as they should
    for (const Existing &each : existing) {
        const auto wanted = std::find_if(change.jobs.begin(), change.jobs.end(),
                                         [&](const Job &job) { return job.name == each.job.name; });
        if (change.kind != Change::Kind::remove && wanted != change.jobs.end() && each.role == role) {
            if (wanted->schedule == each.job.schedule && wanted->command == each.job.command &&
                (each.active || change.kind == Change::Kind::follow))
                kept.insert(each.job.name);
            continue; // pg_cron changes a job of the same name and role in place
        }
        spi.query("SELECT cron.unschedule($1::bigint)", {each.id});
        if (wanted == change.jobs.end())
            outcomes.push_back({each.job, "removed"});
    }
    if (change.kind == Change::Kind::remove)
        return outcomes;

    for (const Job &job : change.jobs) {
        if (kept.contains(job.name)) {
            outcomes.push_back({job, "unchanged"});
            continue;
        }
        const auto before = std::find_if(existing.begin(), existing.end(), [&](const Existing &each) {
            return each.job.name == job.name && each.role == role;
        });
        // A job that the site has switched off stays so until wc_schedule() is called.
        const bool active = change.kind == Change::Kind::replace || before == existing.end() || before->active;
        spi.query("SELECT cron.schedule_in_database($1, $2, $3, $4, $5, $6::boolean)",
                  {job.name, job.schedule, job.command, change.database, role, active ? "true" : "false"});
        outcomes.push_back({job, "scheduled"});
    }
    return outcomes;
}

namespace {

// Texts with their length before them: "5:whole".
void put(std::string &bytes, const std::string &text) {
    bytes += std::to_string(text.size()) + ":" + text;
}

std::string take(std::string_view &bytes) {
    const size_t colon = bytes.find(':');
    if (colon == std::string_view::npos)
        throw std::logic_error("job change is cut short");
    const size_t length = std::stoul(std::string(bytes.substr(0, colon)));
    if (bytes.size() - colon - 1 < length)
        throw std::logic_error("job change is cut short");
    std::string text(bytes.substr(colon + 1, length));
    bytes.remove_prefix(colon + 1 + length);
    return text;
}

} // namespace

std::string pack(const std::vector<Change> &changes) {
    std::string bytes;
    put(bytes, std::to_string(changes.size()));
    for (const Change &change : changes) {
        put(bytes, std::to_string(static_cast<int>(change.kind)));
        put(bytes, change.database);
        put(bytes, change.run_as);
        put(bytes, change.owner);
        put(bytes, std::to_string(change.jobs.size()));
        for (const Job &job : change.jobs) {
            put(bytes, job.name);
            put(bytes, job.schedule);
            put(bytes, job.command);
        }
    }
    return bytes;
}

std::vector<Change> unpack(std::string_view bytes) {
    std::vector<Change> changes(std::stoul(take(bytes)));
    for (Change &change : changes) {
        change.kind = static_cast<Change::Kind>(std::stoi(take(bytes)));
        change.database = take(bytes);
        change.run_as = take(bytes);
        change.owner = take(bytes);
        change.jobs.resize(std::stoul(take(bytes)));
        for (Job &job : change.jobs) {
            job.name = take(bytes);
            job.schedule = take(bytes);
            job.command = take(bytes);
        }
    }
    return changes;
}

} // namespace wc::refresh::cron

// Jobs of pg_cron: where pg_cron is, and how our jobs get into its table and out again.
//
// pg_cron is not required: it is found at run time. Its jobs live in one database of the cluster (cron.database_name).
// From that database jobs change in the caller's own transaction; from any other by a worker that works over there
// while the caller commits (cron_elsewhere).
#pragma once

#include "pg/spi.hpp"

namespace wc::refresh::cron {

enum class Place { absent, here, elsewhere };

struct Scheduler {
    bool loaded = false;    // the library is in shared_preload_libraries
    std::string database;   // cron.database_name; empty: not loaded
    bool exists = false;    // a database of that name exists
    bool here = false;      // it is this one
    bool installed = false; // here: extension pg_cron is installed
    [[nodiscard]] Place place() const;
};

// Never throws for pg_cron's absence.
Scheduler find(pg::Spi &spi);

// Throws 55000 with the lines for postgresql.conf where jobs can't be made from this database.
void require(const Scheduler &scheduler);

struct Job {
    std::string name;
    std::string schedule;
    std::string command;
};

// What is to become of the jobs of a database.
struct Change {
    enum class Kind {
        replace, // exactly these jobs, active
        follow,  // the same where the database has any job of ours, nothing where it has none
        remove   // none
    };
    Kind kind = Kind::remove;
    std::string database;
    std::string run_as; // empty: as before, or the extension's owner
    std::string owner;  // the extension's owner
    std::vector<Job> jobs;
};

struct Outcome {
    Job job;
    std::string status; // scheduled, unchanged, removed
};

// Makes the change in the database of pg_cron, to which this session must be connected as a superuser.
// Throws 55000 where pg_cron isn't installed there and jobs are to be made.
std::vector<Outcome> apply(pg::Spi &spi, const Change &change);

// A change as bytes, to hand it to a worker, and back.
std::string pack(const std::vector<Change> &changes);
std::vector<Change> unpack(std::string_view bytes);

} // namespace wc::refresh::cron

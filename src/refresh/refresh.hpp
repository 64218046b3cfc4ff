// Refreshing materialized views: what the other rooms may know.
#pragma once

#include "core/refresh_plan.hpp"
#include "schema/schema.hpp"

namespace wc::refresh {

// Who asked; goes into the refresh log.
enum class Origin { Manual, Schedule, Install, Live };

struct Request {
    std::vector<schema::View> views; // each at most once; one without a relid becomes a failed row (42P01)
    core::Mode mode = core::Mode::Auto;
    core::Conflict conflict = core::Conflict::Wait;
    std::optional<int> workers; // at once; 0: in this session; empty: whitecross.max_refresh_workers
    Origin origin = Origin::Manual;
    const char *function = "wc_refresh_all()"; // the SQL name, for the errors that it raises
};

// What became of one view.
struct Outcome {
    enum class Status { Refreshed, Failed, Skipped };
    std::string view;
    std::optional<core::Mode> mode; // never Auto; empty: the view isn't there
    Status status = Status::Failed;
    std::optional<int64_t> rows_written;
    std::optional<int64_t> row_count;
    double duration_ms = 0;
    int sqlstate = 0;            // of a failure; 0: none
    std::string message;         // condition name and object names only; empty: none
    std::optional<int64_t> keys; // computed anew, of an incremental refresh
    std::string reason;          // for the mode; in the log only
};

// The word that SQL uses.
const char *name(Outcome::Status status);
const char *name(Origin origin);

// Refreshes the views and logs every attempt; outcomes in the order of the request. A view's failure is its outcome.
// In background workers, each view in a transaction of its own, or, where these can't see or get what is needed, in
// subtransactions of the caller's. Needs the rights of the extension's owner, which the SQL functions (SECURITY
// DEFINER) have. Call it without an open Spi, or with one: both work.
// Throws Error: 25006 on a standby or in a read-only transaction; 25001 where it would have to run in a REPEATABLE
// READ or SERIALIZABLE transaction of the caller; 22023 for a number of workers out of range; a cancel or shutdown.
std::vector<Outcome> refresh(const Request &request);

// A row of wc_refresh() and its kin: view_name, mode, status, rows_written, duration_ms, sqlstate, message.
pg::Row row(const Outcome &outcome);

// Tells room schema how a view it has made is filled. Called once, by _PG_init.
void init();

} // namespace wc::refresh

// One execution of a statement, as the tracker tells it to what counts, remembers and suspects: stats, slow, bursts.
#pragma once

#include "pg/prelude.hpp"

extern "C" {
#include "executor/execdesc.h"
#include "tcop/cmdtag.h"
}

namespace wc::observe {

struct Statement {
    uint64 query_id = 0; // the pattern; of a utility statement, one that stands for its command tag; 0: not identified
    Oid role = InvalidOid;            // who ran it
    CommandTag tag = CMDTAG_UNKNOWN;  //
    bool utility = false;             //
    bool top_level = true;            // sent by the client, not run by a function or a trigger
    TimestampTz started_at = 0;       //
    TimestampTz ended_at = 0;         //
    int64 duration_ns = 0;            // of running it: what the client took between two fetches is not in it
    uint64 rows = 0;                  // returned or affected
    uint64 plan_hash = 0;             // of the shape of its plan; 0: none
    const QueryDesc *query = nullptr; // its plan, relations and parameters; null for a utility statement
    int64 blocks_hit = 0;             // shared buffers
    int64 blocks_read = 0;            //
    int64 temp_blocks = 0;            // temporary blocks, read and written
    int sqlstate = 0;                 // the error it ended with (ERRCODE_...), 0 for none
};

} // namespace wc::observe

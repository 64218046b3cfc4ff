// Rows of the extension's own tables that logical replication brings.
//
// A publication FOR ALL TABLES publishes our tables too. On a server that has the extension itself these rows tell of
// another one's views, settings and transactions: they would meet ours, or be taken for ours. So they are dropped, in
// the initial copy and in what is applied later. What a subscriber captures itself is written below triggers.
#include "refresh/replicated.hpp"

extern "C" {
#include "commands/trigger.h"
#include "replication/logicalworker.h"
}

namespace wc::refresh {

Datum without_replicated(FunctionCallInfo fcinfo) {
    if (!CALLED_AS_TRIGGER(fcinfo))
        throw pg::Error(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED, "wc_ignore_replicated() is not called by a trigger");
    const auto *data = reinterpret_cast<TriggerData *>(fcinfo->context);
    if (!TRIGGER_FIRED_BEFORE(data->tg_event) || !TRIGGER_FIRED_FOR_ROW(data->tg_event))
        throw pg::Error(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
                        "wc_ignore_replicated() must be fired before the event, for each row");
    if (IsLogicalWorker())
        return PointerGetDatum(nullptr);
    return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple);
}

} // namespace wc::refresh

// SQL-visible functions of live mode: thin, no logic.
#include "pg/function.hpp"
#include "pg/guc.hpp"
#include "refresh/live_board.hpp"
#include "refresh/moment.hpp"

using namespace wc;
using namespace wc::refresh;

namespace {

pg::Text timestamp(TimestampTz at) {
    if (at == 0)
        return {};
    return timestamp_text(at);
}

} // namespace

// wc_live_status(): one row, of this database. Off a preloaded library or on a standby nothing but the setting is
// known.
WC_FUNCTION(wc_live_status) {
    pg::ResultSet result(fcinfo);
    const bool standby = RecoveryInProgress();
    const auto status = standby ? std::nullopt : live::board::status(MyDatabaseId);
    if (status && status->wanted) {
        result.add({"true", live::name(status->state),
                    status->pid != 0 ? pg::Text(std::to_string(status->pid)) : pg::Text(), timestamp(status->since),
                    timestamp(status->behind_since), timestamp(status->next_moment), timestamp(status->retry_at),
                    status->sqlstate != 0 ? pg::Text(pg::sqlstate_text(status->sqlstate)) : pg::Text()});
        return result.done();
    }
    // What the launcher doesn't know (yet), the session knows from its own start; what it has set since doesn't count.
    const bool on = pg::call([] {
        bool value = false;
        const char *text = GetConfigOptionResetString("whitecross.live_refresh");
        return text != nullptr && parse_bool(text, &value) && value;
    });
    const char *state = !on                         ? "off"
                        : standby                   ? "standby"
                        : !live::board::available() ? "not preloaded"
                                                    : live::name(live::State::Stopped);
    result.add({on ? "true" : "false", state, {}, {}, {}, {}, {}, {}});
    return result.done();
}

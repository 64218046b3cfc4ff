// The one snapshot and the one clock of a refresh.
#include "refresh/moment.hpp"

#include "pg/guc.hpp"

namespace wc::refresh {

namespace {

TimestampTz clock_of(TimestampTz taken_at) {
    const char *const now = pg::settings::now;
    if (now == nullptr || *now == '\0')
        return taken_at;
    return pg::call([=] {
        return DatumGetTimestampTz(
            DirectFunctionCall3(timestamptz_in, CStringGetDatum(now), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
    });
}

} // namespace

std::string timestamp_text(TimestampTz at) {
    return pg::call([=] { return timestamptz_to_str(at); }); // ISO, whatever DateStyle is
}

Moment::Moment() : taken_at_(GetCurrentTimestamp()) {
    set_clock(timestamp_text(clock_of(taken_at_)));
    // Keys travel as texts from one statement to the next.
    settings_.set("DateStyle", "ISO, YMD");
    settings_.set("IntervalStyle", "postgres");
    settings_.set("extra_float_digits", "1");
}

void Moment::set_clock(const std::string &clock) {
    clock_ = clock;
    settings_.set("whitecross.now", clock_.c_str());
}

std::string Moment::consumed() const {
    struct Seen {
        const char *text;
        uint64 own; // 0: this transaction has no id yet
    };
    const Seen seen = pg::call([] {
        Oid output;
        bool varlena;
        getTypeOutputInfo(PG_SNAPSHOTOID, &output, &varlena);
        return Seen{OidOutputFunctionCall(output, OidFunctionCall0(F_PG_CURRENT_SNAPSHOT)),
                    U64FromFullTransactionId(GetTopFullTransactionIdIfAny())};
    });
    // xmin:xmax:xip,xip,...
    const std::string text = seen.text;
    const size_t first = text.find(':');
    const size_t second = text.find(':', first + 1);
    if (seen.own == 0 || seen.own >= std::stoull(text.substr(first + 1)))
        return text;
    std::set<uint64> running = {seen.own};
    for (size_t at = second + 1; at < text.size();) {
        size_t length = 0;
        running.insert(std::stoull(text.substr(at), &length));
        at += length + 1;
    }
    std::string list;
    for (const uint64 xid : running)
        list += (list.empty() ? "" : ",") + std::to_string(xid);
    return text.substr(0, second + 1) + list;
}

} // namespace wc::refresh

// The arithmetic of schedules.
#include "core/schedule.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace wc::core::schedule {

namespace {

constexpr std::int64_t minute = 60;
constexpr std::int64_t hour = 60 * minute;
constexpr std::int64_t day = 24 * hour;

// Division and remainder that round down: instants before 1970 are negative.
std::int64_t floor_divide(std::int64_t value, std::int64_t divisor) {
    const std::int64_t quotient = value / divisor;
    return value % divisor < 0 ? quotient - 1 : quotient;
}

std::int64_t floor_modulo(std::int64_t value, std::int64_t divisor) {
    return value - floor_divide(value, divisor) * divisor;
}

// The instant at which clocks of the zone show that local time (seconds since 1970 as if the zone were UTC).
Instant instant_of(std::int64_t local, const OffsetAt &zone) {
    // No offset is larger than a day, so these two lie on either side of the instant.
    const std::int64_t before = zone(local - day);
    const std::int64_t after = zone(local + day);
    const Instant first = local - std::max(before, after);
    if (first + zone(first) == local)
        return first;
    const Instant second = local - std::min(before, after);
    if (second + zone(second) == local)
        return second;
    return local - before; // skipped
}

// FNV-1a: the same on every machine and in every version, which std::hash isn't.
std::uint32_t fingerprint(std::string_view text) {
    std::uint32_t hash = 2166136261U;
    for (const char c : text) {
        hash ^= static_cast<unsigned char>(c);
        hash *= 16777619U;
    }
    return hash;
}

} // namespace

std::string_view name(Group group) {
    switch (group) {
    case Group::hourly:
        return "hourly";
    case Group::six_hourly:
        return "six_hourly";
    case Group::daily:
        return "daily";
    }
    return "";
}

std::optional<Group> group(std::string_view text) {
    for (const Group candidate : groups)
        if (name(candidate) == text)
            return candidate;
    return {};
}

Instant latest_at(Instant now, std::int64_t time_of_day, const OffsetAt &zone) {
    const std::int64_t today = floor_divide(now + zone(now), day);
    for (std::int64_t date = today + 1;; --date) {
        const Instant instant = instant_of(date * day + time_of_day, zone);
        if (instant <= now)
            return instant;
    }
}

bool daily_due(Instant now, std::int64_t time_of_day, const OffsetAt &zone, std::optional<Instant> last_success) {
    return !last_success || *last_success < latest_at(now, time_of_day, zone);
}

std::set<int> minutes_of(Instant now, const std::vector<std::int64_t> &times_of_day, const OffsetAt &zone,
                         const OffsetAt &scheduler) {
    constexpr int days_ahead = 400;
    std::set<int> minutes;
    const std::int64_t today = floor_divide(now + zone(now), day);
    for (const std::int64_t time_of_day : times_of_day)
        for (std::int64_t date = today; date < today + days_ahead; ++date) {
            const Instant instant = instant_of(date * day + time_of_day, zone);
            const Instant shown = instant + scheduler(instant);
            // A time within a minute is due when that minute is over.
            const std::int64_t rounded_up = floor_divide(shown + minute - 1, minute);
            minutes.insert(static_cast<int>(floor_modulo(rounded_up, hour / minute)));
        }
    return minutes;
}

std::string cron_expression(Group group, const std::set<int> &minutes) {
    switch (group) {
    case Group::hourly:
        return "0 * * * *";
    case Group::six_hourly:
        return "0 */6 * * *";
    case Group::daily:
        break;
    }
    std::string list;
    for (const int each : minutes)
        list += (list.empty() ? "" : ",") + std::to_string(each);
    return (list.empty() ? "0" : list) + " * * * *";
}

std::string job_name(std::string_view database, Group group) {
    constexpr std::size_t longest = 63;
    const std::string before = "whitecross ";
    const std::string after = " " + std::string(name(group));
    const std::size_t room = longest - before.size() - after.size();
    if (database.size() <= room)
        return before + std::string(database) + after;
    std::array<char, 10> mark{};
    std::snprintf(mark.data(), mark.size(), "~%08x", fingerprint(database));
    std::size_t kept = room - (mark.size() - 1);
    while (kept > 0 && (static_cast<unsigned char>(database[kept]) & 0xC0U) == 0x80U)
        --kept;
    return before + std::string(database.substr(0, kept)) + mark.data() + after;
}

} // namespace wc::core::schedule

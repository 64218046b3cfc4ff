// The arithmetic of schedules: pure, with time as seconds since 1970 in UTC and a time zone as the function that gives
// its offset at an instant.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace wc::core::schedule {

using Instant = std::int64_t;                          // seconds since 1970-01-01 00:00 UTC
using OffsetAt = std::function<std::int64_t(Instant)>; // seconds east of UTC at an instant

// The groups in the order in which they are shown; a job of pg_cron serves each one that has a view.
enum class Group { hourly, six_hourly, daily };
inline constexpr Group groups[] = {Group::hourly, Group::six_hourly, Group::daily};

[[nodiscard]] std::string_view name(Group group);
[[nodiscard]] std::optional<Group> group(std::string_view name);

// The latest instant, not after now, at which clocks of the zone showed that time of day (seconds after midnight).
// Where clocks skip that time it is the moment as many seconds after midnight by the old offset; where they show it
// twice, the first.
[[nodiscard]] Instant latest_at(Instant now, std::int64_t time_of_day, const OffsetAt &zone);

// Whether a view that is refreshed daily at that time is due: no scheduled refresh has succeeded since.
[[nodiscard]] bool daily_due(Instant now, std::int64_t time_of_day, const OffsetAt &zone,
                             std::optional<Instant> last_success);

// The minutes of the hour, as the scheduler's clock shows them, at which one of those times of day comes during the 400
// days from now on: one for most zones; several where offsets are no whole hours.
[[nodiscard]] std::set<int> minutes_of(Instant now, const std::vector<std::int64_t> &times_of_day, const OffsetAt &zone,
                                       const OffsetAt &scheduler);

// A group's schedule as cron writes it. Daily jobs run each hour, at those minutes, and do what is due: pg_cron may
// know only GMT, and a run that was missed is made up for within the hour.
[[nodiscard]] std::string cron_expression(Group group, const std::set<int> &minutes);

// 'whitecross DATABASE GROUP'. pg_cron keeps 63 bytes of a name: a longer database name is cut (never inside a UTF-8
// character) and marked with a number made from all of it, so that no two databases share a job.
[[nodiscard]] std::string job_name(std::string_view database, Group group);

} // namespace wc::core::schedule

// The arithmetic of schedules. Expected instants are civil dates worked out by hand from the zones' published rules.
#include "core/schedule.hpp"

#include <gtest/gtest.h>

#include <chrono>

using namespace wc::core::schedule;

namespace {

constexpr std::int64_t hours = 3600;
constexpr std::int64_t minutes = 60;

// An instant from a date and time in UTC.
Instant utc(int year, unsigned month, unsigned day, int hour = 0, int minute = 0, int second = 0) {
    const std::chrono::sys_days date{std::chrono::year{year} / std::chrono::month{month} / std::chrono::day{day}};
    return static_cast<Instant>(date.time_since_epoch().count()) * 24 * hours + hour * hours + minute * minutes +
           second;
}

OffsetAt fixed(std::int64_t seconds) {
    return [seconds](Instant) { return seconds; };
}
const OffsetAt gmt = fixed(0);

// New York in 2026: daylight saving from March 8th 2:00 EST to November 1st 2:00 EDT.
std::int64_t new_york(Instant at) {
    return at >= utc(2026, 3, 8, 7) && at < utc(2026, 11, 1, 6) ? -4 * hours : -5 * hours;
}

// Berlin in 2026: summer time from March 29th 1:00 UTC to October 25th 1:00 UTC.
std::int64_t berlin(Instant at) {
    return at >= utc(2026, 3, 29, 1) && at < utc(2026, 10, 25, 1) ? 2 * hours : 1 * hours;
}

// Lord Howe Island in 2026: 10:30 in winter, 11:00 in summer; winter from April 4th 15:00 UTC to October 3rd 15:30 UTC.
std::int64_t lord_howe(Instant at) {
    return at >= utc(2026, 4, 4, 15) && at < utc(2026, 10, 3, 15, 30) ? 10 * hours + 30 * minutes : 11 * hours;
}

// Samoa left out December 30th 2011: from UTC-10 to UTC+14 at 2011-12-30 10:00 UTC.
std::int64_t apia(Instant at) {
    return at < utc(2011, 12, 30, 10) ? -10 * hours : 14 * hours;
}

constexpr std::int64_t two_o_clock = 2 * hours;

TEST(Groups, NamesLeadThereAndBack) {
    for (const Group each : groups)
        EXPECT_EQ(group(name(each)), each);
    EXPECT_EQ(group("weekly"), std::nullopt);
    EXPECT_EQ(group(""), std::nullopt);
}

TEST(LatestAt, IsTodayOnceTheTimeHasComeAndYesterdayBefore) {
    EXPECT_EQ(latest_at(utc(2026, 1, 15, 7, 0, 0), two_o_clock, new_york), utc(2026, 1, 15, 7));
    EXPECT_EQ(latest_at(utc(2026, 1, 15, 6, 59, 59), two_o_clock, new_york), utc(2026, 1, 14, 7));
    EXPECT_EQ(latest_at(utc(2026, 7, 15, 6), two_o_clock, new_york), utc(2026, 7, 15, 6));
    EXPECT_EQ(latest_at(utc(2026, 7, 15, 5, 59, 59), two_o_clock, new_york), utc(2026, 7, 14, 6));
}

TEST(LatestAt, TakesTheMomentOfTheJumpWhereClocksSkipTheTime) {
    EXPECT_EQ(latest_at(utc(2026, 3, 8, 12), two_o_clock, new_york), utc(2026, 3, 8, 7));
    EXPECT_EQ(latest_at(utc(2026, 3, 8, 6, 59), two_o_clock, new_york), utc(2026, 3, 7, 7));
    EXPECT_EQ(latest_at(utc(2026, 3, 29, 12), two_o_clock, berlin), utc(2026, 3, 29, 1));
    EXPECT_EQ(latest_at(utc(2026, 3, 29, 12), two_o_clock + 30 * minutes, berlin), utc(2026, 3, 29, 1, 30));
}

TEST(LatestAt, TakesTheFirstWhereClocksShowTheTimeTwice) {
    EXPECT_EQ(latest_at(utc(2026, 10, 25, 12), two_o_clock, berlin), utc(2026, 10, 25, 0));
    EXPECT_EQ(latest_at(utc(2026, 10, 25, 12), two_o_clock + 30 * minutes, berlin), utc(2026, 10, 25, 0, 30));
    // 1:30 comes twice in New York; 2:00 once, an hour later by the sun than the day before.
    EXPECT_EQ(latest_at(utc(2026, 11, 1, 12), 1 * hours + 30 * minutes, new_york), utc(2026, 11, 1, 5, 30));
    EXPECT_EQ(latest_at(utc(2026, 11, 1, 12), two_o_clock, new_york), utc(2026, 11, 1, 7));
}

TEST(LatestAt, KnowsOffsetsThatAreNoWholeHours) {
    const OffsetAt kathmandu = fixed(5 * hours + 45 * minutes);
    EXPECT_EQ(latest_at(utc(2026, 5, 1, 12), two_o_clock, kathmandu), utc(2026, 4, 30, 20, 15));
    EXPECT_EQ(latest_at(utc(2026, 6, 1, 12), two_o_clock, lord_howe), utc(2026, 5, 31, 15, 30));
    EXPECT_EQ(latest_at(utc(2026, 12, 1, 12), two_o_clock, lord_howe), utc(2026, 11, 30, 15));
}

TEST(LatestAt, WorksAtTheEndsOfTheWorldAndBefore1970) {
    EXPECT_EQ(latest_at(utc(2026, 5, 1, 13), two_o_clock, fixed(14 * hours)), utc(2026, 5, 1, 12));
    EXPECT_EQ(latest_at(utc(2026, 5, 1, 13), two_o_clock, fixed(-12 * hours)), utc(2026, 4, 30, 14));
    EXPECT_EQ(latest_at(utc(1969, 12, 31, 1), two_o_clock, gmt), utc(1969, 12, 30, 2));
    // The 30th is left out: after 2:00 on the 29th comes 2:00 on the 31st.
    EXPECT_EQ(latest_at(utc(2011, 12, 30, 11), two_o_clock, apia), utc(2011, 12, 29, 12));
    EXPECT_EQ(latest_at(utc(2011, 12, 31, 0), two_o_clock, apia), utc(2011, 12, 30, 12));
}

// Property: over a year of hours the latest instant is never in the future, never more than a day and an hour ago, and
// clocks show the time of day there, unless they skipped it.
TEST(LatestAt, IsNeverLateByMoreThanADayAndAnHour) {
    for (const auto &zone : {OffsetAt(new_york), OffsetAt(berlin), OffsetAt(lord_howe)}) {
        Instant previous = 0;
        int distinct = 0;
        for (Instant now = utc(2026, 1, 2); now < utc(2027, 1, 2); now += 10 * minutes) {
            const Instant latest = latest_at(now, two_o_clock, zone);
            ASSERT_LE(latest, now);
            ASSERT_LT(now - latest, 25 * hours);
            ASSERT_GE(latest, previous);
            distinct += latest != previous ? 1 : 0;
            previous = latest;
        }
        EXPECT_NEAR(distinct, 366, 1);
    }
}

TEST(DailyDue, OnceADayUntilItSucceeds) {
    const Instant two = utc(2026, 7, 15, 6);
    EXPECT_TRUE(daily_due(two, two_o_clock, new_york, std::nullopt));
    EXPECT_TRUE(daily_due(two, two_o_clock, new_york, two - 1));
    EXPECT_FALSE(daily_due(two, two_o_clock, new_york, two));
    EXPECT_FALSE(daily_due(two - 1, two_o_clock, new_york, two - 23 * hours));
    EXPECT_TRUE(daily_due(two + 5 * hours, two_o_clock, new_york, two - 23 * hours)); // a run missed is made up for
}

// A job at the minutes that minutes_of() gives, over a year with both changes of the clock, runs once for each local
// day.
TEST(DailyDue, AJobAtThoseMinutesRunsOnceForEachLocalDay) {
    for (const auto &zone : {OffsetAt(new_york), OffsetAt(berlin), OffsetAt(lord_howe)}) {
        const std::set<int> at = minutes_of(utc(2026, 1, 1), {two_o_clock}, zone, gmt);
        std::optional<Instant> last;
        int runs = 0;
        for (Instant now = utc(2026, 1, 1, 12); now < utc(2026, 12, 31, 12); now += minutes) {
            if (!at.contains(static_cast<int>(now / minutes % 60)))
                continue;
            if (!daily_due(now, two_o_clock, zone, last))
                continue;
            if (last) {
                EXPECT_EQ(now, latest_at(now, two_o_clock, zone)) << "not at two o'clock sharp";
            }
            last = now;
            ++runs;
        }
        EXPECT_EQ(runs, 365); // the first makes up for the day before
    }
}

TEST(MinutesOf, FollowTheZoneAndTheSchedulersClock) {
    const Instant now = utc(2026, 1, 1);
    EXPECT_EQ(minutes_of(now, {two_o_clock}, new_york, gmt), (std::set<int>{0}));
    EXPECT_EQ(minutes_of(now, {two_o_clock}, fixed(5 * hours + 45 * minutes), gmt), (std::set<int>{15}));
    EXPECT_EQ(minutes_of(now, {two_o_clock}, lord_howe, gmt), (std::set<int>{0, 30}));
    EXPECT_EQ(minutes_of(now, {two_o_clock}, gmt, fixed(5 * hours + 30 * minutes)), (std::set<int>{30}));
    EXPECT_EQ(minutes_of(now, {two_o_clock, 3 * hours + 20 * minutes}, gmt, gmt), (std::set<int>{0, 20}));
    EXPECT_EQ(minutes_of(now, {two_o_clock + 30}, gmt, gmt), (std::set<int>{1}));
    EXPECT_EQ(minutes_of(now, {23 * hours + 59 * minutes + 30}, gmt, gmt), (std::set<int>{0}));
    EXPECT_TRUE(minutes_of(now, {}, gmt, gmt).empty());
}

TEST(CronExpression, OfEachGroup) {
    EXPECT_EQ(cron_expression(Group::hourly, {}), "0 * * * *");
    EXPECT_EQ(cron_expression(Group::six_hourly, {}), "0 */6 * * *");
    EXPECT_EQ(cron_expression(Group::daily, {0, 30}), "0,30 * * * *");
    EXPECT_EQ(cron_expression(Group::daily, {15}), "15 * * * *");
}

TEST(JobName, KeepsWhatFits) {
    EXPECT_EQ(job_name("school", Group::hourly), "whitecross school hourly");
    EXPECT_EQ(job_name("my school", Group::six_hourly), "whitecross my school six_hourly");
    const std::string longest(63 - 11 - 7, 'd');
    EXPECT_EQ(job_name(longest, Group::hourly), "whitecross " + longest + " hourly");
}

TEST(JobName, IsDifferentForDatabasesWithTheSameBeginning) {
    const std::string one(63, 'd');
    const std::string other = std::string(62, 'd') + "e";
    for (const Group each : groups) {
        const std::string name_of_one = job_name(one, each);
        EXPECT_LE(name_of_one.size(), 63U);
        EXPECT_NE(name_of_one, job_name(other, each));
        EXPECT_TRUE(name_of_one.ends_with(" " + std::string(name(each))));
    }
}

TEST(JobName, NeverCutsACharacter) {
    for (std::size_t shift = 0; shift < 4; ++shift) {
        std::string database(shift, 'd');
        while (database.size() + 4 <= 63)
            database += "\xF0\x9F\x8F\xAB"; // a school
        const std::string job = job_name(database, Group::daily);
        EXPECT_LE(job.size(), 63U);
        const std::string kept = job.substr(11, job.find('~') - 11);
        EXPECT_EQ((kept.size() - shift) % 4, 0U);
    }
}

} // namespace

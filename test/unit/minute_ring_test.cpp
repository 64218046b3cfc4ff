// Counters of the minutes of a day, against a list of all that happened.
#include "core/minute_ring.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <vector>

namespace {

using wc::core::count;
using wc::core::MinuteRing;
using wc::core::total;

constexpr std::int64_t day = MinuteRing::day;
constexpr std::int64_t start = 14'000'000; // minutes since 2000: in the year 2026

TEST(MinuteRing, IsEmptyAtFirst) {
    const MinuteRing ring = {};
    EXPECT_EQ(total(ring, start, 60), 0U);
    EXPECT_EQ(total(ring, start, day), 0U);
    EXPECT_EQ(total(ring, 0, day), 0U);
}

TEST(MinuteRing, LeavesTheHourAndTheDayAfterSixtyAndFourteenFortyMinutes) {
    MinuteRing ring = {};
    count(ring, start);
    count(ring, start);
    EXPECT_EQ(total(ring, start, 1), 2U);
    EXPECT_EQ(total(ring, start + 1, 1), 0U);
    EXPECT_EQ(total(ring, start + 59, 60), 2U);
    EXPECT_EQ(total(ring, start + 60, 60), 0U);
    EXPECT_EQ(total(ring, start + day - 1, day), 2U);
    EXPECT_EQ(total(ring, start + day, day), 0U);
    EXPECT_EQ(total(ring, start + 1000 * day, day), 0U);
}

TEST(MinuteRing, ForgetsWhatStoodInACounterThatIsUsedAgain) {
    MinuteRing ring = {};
    count(ring, start);
    count(ring, start + day);
    EXPECT_EQ(total(ring, start + day, 1), 1U);
    EXPECT_EQ(total(ring, start + day, day), 1U);
    count(ring, start + day + 5); // the counters between are those of a day ago
    EXPECT_EQ(total(ring, start + day + 5, day), 2U);
    count(ring, start + 100 * day);
    EXPECT_EQ(total(ring, start + 100 * day, day), 1U);
}

TEST(MinuteRing, FirstMinutesOfTheEpoch) {
    MinuteRing ring = {};
    count(ring, 0);
    EXPECT_EQ(total(ring, 0, 1), 1U);
    EXPECT_EQ(total(ring, 30, day), 1U);
    EXPECT_EQ(total(ring, 30, 30), 0U);
}

TEST(MinuteRing, AClockSetBackCountsInItsOwnMinuteAndLosesNothing) {
    MinuteRing ring = {};
    count(ring, start);
    count(ring, start - 30);
    count(ring, start - day + 1);
    EXPECT_EQ(total(ring, start, 1), 1U);
    EXPECT_EQ(total(ring, start, 60), 2U);
    EXPECT_EQ(total(ring, start, day), 3U);
    EXPECT_EQ(total(ring, start - 30, 1), 2U) << "what the clock that was ahead has counted has happened";
}

TEST(MinuteRing, AClockSetBackByADayOrMoreBeginsAnew) {
    for (const std::int64_t back : {day, day + 1, 400 * day}) {
        MinuteRing ring = {};
        count(ring, start);
        count(ring, start - back);
        EXPECT_EQ(total(ring, start - back, day), 1U) << back;
        EXPECT_EQ(total(ring, start - back, 1), 1U) << back;
        EXPECT_EQ(total(ring, start, 1), 0U) << back;
    }
}

TEST(MinuteRing, ACounterStaysAtItsGreatestValue) {
    MinuteRing ring = {};
    count(ring, start);
    ring.counts[start % day] = std::numeric_limits<std::uint32_t>::max();
    count(ring, start);
    EXPECT_EQ(total(ring, start, 1), std::numeric_limits<std::uint32_t>::max());
}

// Property: after random steps of the clock forwards, small and large, every window holds what a list of all events
// says.
TEST(MinuteRing, EqualsTheListOfWhatHappened) {
    std::mt19937 random(15);
    for (int round = 0; round < 50; ++round) {
        MinuteRing ring = {};
        std::vector<std::int64_t> events;
        std::int64_t now = start;
        for (int step = 0; step < 200; ++step) {
            const int kind = static_cast<int>(random() % 10);
            const std::int64_t widest = kind < 5 ? 1 : kind < 8 ? 5 : kind < 9 ? 90 : 2 * day;
            now += std::uniform_int_distribution<std::int64_t>(0, widest - 1)(random);
            count(ring, now);
            events.push_back(now);
            for (const std::int64_t later : {std::int64_t{0}, std::int64_t{7}, std::int64_t{61}, day - 1, day}) {
                for (const std::int64_t minutes : {std::int64_t{1}, std::int64_t{60}, day}) {
                    std::uint64_t expected = 0;
                    for (const std::int64_t event : events)
                        expected += event > now + later - minutes ? 1 : 0;
                    ASSERT_EQ(total(ring, now + later, minutes), expected) << "step " << step << " of round " << round;
                }
            }
        }
    }
}

} // namespace

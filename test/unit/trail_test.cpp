// How long ago a growing number passed a value, and how much it has grown of late.
#include "core/trail.hpp"

#include <gtest/gtest.h>

namespace {

using wc::core::Trail;

constexpr std::int64_t minute = 60000;

TEST(Trail, IsEmptyAtFirst) {
    const Trail trail(minute, 1000);
    EXPECT_EQ(trail.since_above(5, 0), 0);
    EXPECT_EQ(trail.growth(5, minute), 0);
}

TEST(Trail, TellsHowLongAgoAValueWasPassed) {
    Trail trail(10 * minute, 1000);
    for (std::int64_t i = 0; i < 10; ++i)
        trail.add(1000 * i, static_cast<std::uint64_t>(i) * 100);
    EXPECT_EQ(trail.since_above(9000, 900), 0) << "whoever is there is up to date";
    EXPECT_EQ(trail.since_above(9000, 850), 0) << "passed just now";
    EXPECT_EQ(trail.since_above(9500, 850), 500);
    EXPECT_EQ(trail.since_above(9000, 300), 5000);
    EXPECT_EQ(trail.since_above(9000, 299), 6000);
    EXPECT_EQ(trail.since_above(60000, 300), 56000);
}

TEST(Trail, StandsStillWithoutALag) {
    Trail trail(minute, 1000);
    for (std::int64_t i = 0; i < 1000; ++i)
        trail.add(1000 * i, 7);
    EXPECT_EQ(trail.since_above(1000000, 7), 0);
    EXPECT_EQ(trail.growth(1000000, minute), 0);
}

TEST(Trail, IsBoundedAndReachesBackAllTheSame) {
    Trail trail(60 * minute, minute);
    for (std::int64_t i = 0; i <= 3600; ++i)
        trail.add(1000 * i, static_cast<std::uint64_t>(i));
    EXPECT_NEAR(static_cast<double>(trail.since_above(3600000, 1800)), 1800000, minute);
    EXPECT_NEAR(static_cast<double>(trail.since_above(3600000, 0)), 3600000, minute);
    EXPECT_NEAR(trail.growth(3600000, 10 * minute), 600, 60);
    EXPECT_LE(trail.points(), 62U);
    EXPECT_EQ(trail.since_above(3600000, 3600), 0);
}

TEST(Trail, ForgetsWhatIsTooOld) {
    Trail trail(minute, 1000);
    for (std::int64_t i = 0; i <= 600; ++i)
        trail.add(1000 * i, static_cast<std::uint64_t>(i));
    EXPECT_EQ(trail.since_above(600000, 1), 60000) << "at most as long as the trail";
}

TEST(Trail, GrowthOfTheLastMinute) {
    Trail trail(2 * minute, 1000);
    trail.add(0, 100);
    EXPECT_EQ(trail.growth(0, minute), 0);
    trail.add(10000, 105);
    EXPECT_EQ(trail.growth(10000, minute), 5) << "no more than was seen, in less than a minute";
    for (std::int64_t i = 2; i <= 30; ++i)
        trail.add(10000 * i, static_cast<std::uint64_t>(105 + 10 * (i - 1)));
    EXPECT_EQ(trail.growth(300000, minute), 60);
    trail.add(300000 + 10 * minute, 395 + 1000); // looked at every ten minutes: a tenth of it
    EXPECT_EQ(trail.growth(300000 + 10 * minute, minute), 100);
}

TEST(Trail, ACounterThatWasResetBeginsAnew) {
    Trail trail(minute, 1000);
    trail.add(0, 100);
    trail.add(1000, 200);
    trail.add(2000, 3);
    EXPECT_EQ(trail.growth(2000, minute), 0);
    trail.add(3000, 5);
    EXPECT_EQ(trail.growth(3000, minute), 2);
}

} // namespace

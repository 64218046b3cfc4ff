// The verdict on something that is checked again and again.
#include "core/health.hpp"

#include <gtest/gtest.h>

#include <limits>

using wc::core::Health;
using wc::core::take_in;

TEST(Health, AllZerosAreNotCheckedYet) {
    const Health health{};
    EXPECT_FALSE(health.checked);
    EXPECT_FALSE(health.unhealthy);
    EXPECT_EQ(health.failures, 0U);
}

TEST(Health, ThreeFailuresInARowAreUnhealthy) {
    Health health;
    EXPECT_FALSE(take_in(health, false));
    EXPECT_TRUE(health.checked);
    EXPECT_FALSE(take_in(health, false));
    EXPECT_FALSE(health.unhealthy);
    EXPECT_TRUE(take_in(health, false));
    EXPECT_TRUE(health.unhealthy);
    EXPECT_FALSE(take_in(health, false)) << "it is so already";
    EXPECT_EQ(health.failures, 4U);
}

TEST(Health, AGoodCheckBetweenFailuresBeginsTheCountAnew) {
    Health health;
    for (const bool passed : {false, false, true, false, false})
        EXPECT_FALSE(take_in(health, passed));
    EXPECT_FALSE(health.unhealthy);
    EXPECT_EQ(health.failures, 2U);
}

TEST(Health, OneGoodCheckIsHealthyAgain) {
    Health health;
    for (int i = 0; i < 5; ++i)
        take_in(health, false);
    EXPECT_TRUE(take_in(health, true));
    EXPECT_FALSE(health.unhealthy);
    EXPECT_EQ(health.failures, 0U);
    EXPECT_FALSE(take_in(health, true));
}

TEST(Health, TheCountHasAnEnd) {
    Health health;
    health.failures = std::numeric_limits<std::uint32_t>::max();
    health.unhealthy = true;
    EXPECT_FALSE(take_in(health, false));
    EXPECT_EQ(health.failures, std::numeric_limits<std::uint32_t>::max());
}

// core/refresh_plan: names of modes, the way a refresh goes, the order of views.
#include "core/refresh_plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

using namespace wc::core;

namespace {

std::vector<std::string> names_in_order(const std::vector<Task> &tasks) {
    std::vector<std::string> names;
    for (const auto i : longest_first(tasks))
        names.push_back(tasks.at(i).view);
    return names;
}

} // namespace

TEST(RefreshPlan, EveryModeIsReadBackFromItsName) {
    for (const auto mode : {Mode::Auto, Mode::Incremental, Mode::Concurrent, Mode::Full})
        EXPECT_EQ(parse_mode(name(mode)), mode);
    for (const auto conflict : {Conflict::Wait, Conflict::Skip})
        EXPECT_EQ(parse_conflict(name(conflict)), conflict);
}

TEST(RefreshPlan, OtherNamesAreRefused) {
    for (const char *text : {"", "AUTO", "Full", "full ", "increment", "concurrently", "wait"})
        EXPECT_FALSE(parse_mode(text)) << text;
    for (const char *text : {"", "WAIT", "skip ", "fail", "auto"})
        EXPECT_FALSE(parse_conflict(text)) << text;
}

TEST(RefreshPlan, HintsNameEveryChoice) {
    EXPECT_EQ(mode_names(), "\"auto\", \"incremental\", \"concurrent\" and \"full\"");
    EXPECT_EQ(conflict_names(), "\"wait\" and \"skip\"");
}

TEST(RefreshPlan, WhatChangedIsRefreshedWhereItCanBeTold) {
    EXPECT_EQ(decide(Mode::Auto, {.populated = true, .incremental = true}), Mode::Incremental);
    EXPECT_EQ(decide(Mode::Incremental, {.populated = true, .incremental = true}), Mode::Incremental);
    EXPECT_EQ(decide(Mode::Auto, {.populated = true, .incremental = false}), Mode::Concurrent);
    EXPECT_EQ(decide(Mode::Incremental, {.populated = true, .incremental = false}), Mode::Concurrent);
}

TEST(RefreshPlan, WhoNamesConcurrentGetsTheWholeView) {
    for (const bool incremental : {false, true})
        EXPECT_EQ(decide(Mode::Concurrent, {.populated = true, .incremental = incremental}), Mode::Concurrent);
}

TEST(RefreshPlan, OnlyACallerWhoNamesItRunsFullOnAPopulatedView) {
    for (const bool incremental : {false, true}) {
        EXPECT_EQ(decide(Mode::Full, {.populated = true, .incremental = incremental}), Mode::Full);
        for (const auto mode : {Mode::Auto, Mode::Incremental, Mode::Concurrent})
            EXPECT_NE(decide(mode, {.populated = true, .incremental = incremental}), Mode::Full);
    }
}

TEST(RefreshPlan, AnUnpopulatedViewIsAlwaysFilledOutright) {
    for (const auto mode : {Mode::Auto, Mode::Incremental, Mode::Concurrent, Mode::Full})
        for (const bool incremental : {false, true})
            EXPECT_EQ(decide(mode, {.populated = false, .incremental = incremental}), Mode::Full);
}

TEST(RefreshPlan, TooManyKeysIsAShareOfTheView) {
    EXPECT_EQ(most_keys(0), most_keys(100));
    EXPECT_GE(most_keys(0), 100);
    EXPECT_LT(most_keys(100'000), 100'000);
    EXPECT_EQ(most_keys(2'000'000), 2 * most_keys(1'000'000));
    EXPECT_GT(most_keys(INT64_MAX), most_keys(INT64_MAX / 2)); // no overflow
}

TEST(RefreshPlan, TheLongestStartsFirst) {
    EXPECT_EQ(names_in_order({{"a", 1.0}, {"b", 30.0}, {"c", 2.5}}), (std::vector<std::string>{"b", "c", "a"}));
}

TEST(RefreshPlan, WhatWasNeverTimedCountsAsTheLongest) {
    EXPECT_EQ(names_in_order({{"a", 1e9}, {"z", {}}, {"b", {}}}), (std::vector<std::string>{"b", "z", "a"}));
}

TEST(RefreshPlan, EqualOnesGoByName) {
    EXPECT_EQ(names_in_order({{"c", 5.0}, {"a", 5.0}, {"b", 5.0}}), (std::vector<std::string>{"a", "b", "c"}));
}

TEST(RefreshPlan, NothingToDoIsNoOrder) {
    EXPECT_TRUE(longest_first({}).empty());
}

TEST(RefreshPlan, TheOrderNeverDependsOnTheOrderGiven) {
    std::vector<Task> tasks;
    for (int i = 0; i < 40; ++i)
        tasks.push_back({"v" + std::to_string(i), i % 5 == 0 ? std::nullopt : std::optional<double>(i % 7)});
    const auto expected = names_in_order(tasks);
    std::mt19937 random(1);
    for (int round = 0; round < 50; ++round) {
        std::shuffle(tasks.begin(), tasks.end(), random);
        EXPECT_EQ(names_in_order(tasks), expected);
        auto positions = longest_first(tasks);
        std::sort(positions.begin(), positions.end());
        for (std::size_t i = 0; i < positions.size(); ++i)
            EXPECT_EQ(positions[i], i);
    }
}

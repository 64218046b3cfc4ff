// Whether something that fails is to be tried again yet.
#include "core/breaker.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace {

using wc::core::Breaker;
namespace breaker = wc::core::breaker;
using State = Breaker::State;

constexpr std::int64_t lease = 50;

void fail(Breaker &it, std::int64_t now, bool costly = false) {
    const breaker::Leave leave = breaker::ask(it, now, lease);
    ASSERT_TRUE(leave.given);
    breaker::failed(it, leave, now, costly);
}

TEST(Breaker, OpensAfterFailuresInARow) {
    Breaker it;
    fail(it, 1000);
    fail(it, 1000);
    EXPECT_EQ(breaker::shown(it, 1000), State::Closed);
    breaker::succeeded(it, breaker::ask(it, 1000, lease)); // the row is broken
    fail(it, 1000);
    fail(it, 1000);
    EXPECT_TRUE(breaker::ask(it, 1000, lease).given);
    fail(it, 1000);
    EXPECT_EQ(breaker::shown(it, 1000), State::Open);
    EXPECT_FALSE(breaker::ask(it, 1000 + breaker::first_rest_ms - 1, lease).given);
}

TEST(Breaker, OpensAtOnceAfterWhatCostTime) {
    Breaker it;
    fail(it, 0, true);
    EXPECT_EQ(breaker::shown(it, 0), State::Open);
    EXPECT_FALSE(breaker::ask(it, 0, lease).given);
}

TEST(Breaker, OneProbes) {
    Breaker it;
    fail(it, 0, true);
    const std::int64_t then = breaker::first_rest_ms;
    EXPECT_EQ(breaker::shown(it, then), State::Probing);
    const breaker::Leave probe = breaker::ask(it, then, lease);
    EXPECT_TRUE(probe.given);
    EXPECT_TRUE(probe.probe);
    EXPECT_FALSE(breaker::ask(it, then, lease).given);
    EXPECT_FALSE(breaker::ask(it, then + lease - 1, lease).given);
    breaker::succeeded(it, probe);
    EXPECT_EQ(breaker::shown(it, then), State::Closed);
    EXPECT_TRUE(breaker::ask(it, then, lease).given);
    fail(it, then); // as if it had never been open
    EXPECT_EQ(breaker::shown(it, then), State::Closed);
}

TEST(Breaker, ALostProbeIsFollowedByAnother) {
    Breaker it;
    fail(it, 0, true);
    const breaker::Leave lost = breaker::ask(it, breaker::first_rest_ms, lease);
    const breaker::Leave next = breaker::ask(it, breaker::first_rest_ms + lease, lease);
    EXPECT_TRUE(next.given);
    breaker::succeeded(it, lost); // too late
    EXPECT_EQ(breaker::shown(it, breaker::first_rest_ms + lease), State::Probing);
    breaker::failed(it, lost, breaker::first_rest_ms + lease, false);
    EXPECT_EQ(breaker::shown(it, breaker::first_rest_ms + lease), State::Probing);
    breaker::succeeded(it, next);
    EXPECT_EQ(breaker::shown(it, breaker::first_rest_ms + lease), State::Closed);
}

TEST(Breaker, RestsLongerEachTimeUpToALimit) {
    Breaker it;
    std::int64_t now = 0;
    fail(it, now, true);
    std::int64_t rest = breaker::first_rest_ms;
    for (int i = 0; i < 20; ++i) {
        EXPECT_FALSE(breaker::ask(it, now + rest - 1, lease).given);
        now += rest;
        fail(it, now); // the probe
        rest = std::min(rest * 2, breaker::most_rest_ms);
    }
    EXPECT_EQ(rest, breaker::most_rest_ms);
    now += rest;
    breaker::succeeded(it, breaker::ask(it, now, lease));
    fail(it, now, true);
    EXPECT_TRUE(breaker::ask(it, now + breaker::first_rest_ms, lease).given); // from the beginning again
}

TEST(Breaker, WhatBeganBeforeItOpenedHasNoSay) {
    Breaker it;
    const breaker::Leave before = breaker::ask(it, 0, lease);
    fail(it, 0, true);
    breaker::succeeded(it, before);
    EXPECT_EQ(breaker::shown(it, 0), State::Open);
    breaker::failed(it, before, 0, true);
    EXPECT_EQ(it.rest_ms, breaker::first_rest_ms);
    breaker::failed(it, {}, 0, true); // nor who had no leave
    EXPECT_EQ(it.rest_ms, breaker::first_rest_ms);
}

} // namespace

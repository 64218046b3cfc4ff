// When an alert is raised, repeated and over, and how it is told.
#include "core/alert.hpp"
#include "core/alert_text.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <vector>

namespace {

using namespace wc::core::alert;

constexpr Limits percent = {80, 95};
constexpr std::int64_t hour = 3600000;

struct Watch {
    State state = {};
    std::int64_t now = 1000;
    Limits limits = percent;
    Step at(double value, std::int64_t later = 1000) {
        now += later;
        return step(state, value, limits, now, hour);
    }
};

void expect(const Step &step, Event event, Level level, double limit) {
    EXPECT_EQ(step.event, event) << name(step.event);
    EXPECT_EQ(step.level, level) << name(step.level);
    EXPECT_EQ(step.limit, limit);
}

TEST(Alert, IsRaisedOnceAndClearedFivePercentBelow) {
    Watch watch;
    EXPECT_EQ(watch.at(80).event, Event::None) << "not above the limit";
    expect(watch.at(85), Event::Raised, Level::Warning, 80);
    EXPECT_EQ(watch.at(85).event, Event::None);
    EXPECT_EQ(watch.at(90).event, Event::None);
    EXPECT_EQ(watch.at(79).event, Event::None) << "below the limit, by less than 5 % of it";
    EXPECT_EQ(watch.at(76.01).event, Event::None);
    EXPECT_EQ(watch.state.level, Level::Warning);
    expect(watch.at(76), Event::Cleared, Level::Warning, 80);
    EXPECT_EQ(watch.at(76).event, Event::None);
    EXPECT_EQ(watch.at(80).event, Event::None) << "cleared: it takes the limit to raise it again";
    expect(watch.at(80.5), Event::Raised, Level::Warning, 80);
}

TEST(Alert, IsRaisedAgainWhenWarningBecomesCritical) {
    Watch watch;
    expect(watch.at(85), Event::Raised, Level::Warning, 80);
    expect(watch.at(96), Event::Raised, Level::Critical, 95);
    EXPECT_EQ(watch.at(100).event, Event::None);
    EXPECT_EQ(watch.at(91).event, Event::None) << "95 less 5 % of it is 90.25";
    expect(watch.at(90), Event::Eased, Level::Warning, 80);
    expect(watch.at(100), Event::Raised, Level::Critical, 95);
    expect(watch.at(10), Event::Cleared, Level::Critical, 95);
}

TEST(Alert, GoesToCriticalAtOnceAndEasesToAWarningThatStillHolds) {
    Watch watch;
    expect(watch.at(100), Event::Raised, Level::Critical, 95);
    expect(watch.at(78), Event::Eased, Level::Warning, 80); // not raised by 78, but not over either
    expect(watch.at(75), Event::Cleared, Level::Warning, 80);
}

TEST(Alert, IsRepeatedWhileItLasts) {
    Watch watch;
    expect(watch.at(85), Event::Raised, Level::Warning, 80);
    EXPECT_EQ(watch.at(85, hour - 1).event, Event::None);
    expect(watch.at(79, 1), Event::Repeated, Level::Warning, 80);
    EXPECT_EQ(watch.at(85, hour - 1).event, Event::None);
    expect(watch.at(96, 1), Event::Raised, Level::Critical, 95);
    EXPECT_EQ(watch.at(96, hour - 1).event, Event::None) << "counted from when it was told last";
    expect(watch.at(96, 1), Event::Repeated, Level::Critical, 95);
    EXPECT_EQ(step(watch.state, 96, percent, watch.now + 100 * hour, 0).event, Event::None) << "0: never";
}

TEST(Alert, ALimitOfZeroIsForWhatMustNotHappenAtAll) {
    Watch watch;
    watch.limits = {-1, 0};
    EXPECT_EQ(watch.at(0).event, Event::None);
    expect(watch.at(1), Event::Raised, Level::Critical, 0);
    EXPECT_EQ(watch.at(1).event, Event::None);
    expect(watch.at(0), Event::Cleared, Level::Critical, 0);
}

TEST(Alert, NegativeLimitsNeverRaise) {
    Watch watch;
    watch.limits = {-1, -1};
    EXPECT_EQ(watch.at(1e9).event, Event::None);
    watch.limits = {80, -1};
    expect(watch.at(1e9), Event::Raised, Level::Warning, 80);
    watch.limits = {-1, 95};
    watch.state = {};
    EXPECT_EQ(watch.at(94).event, Event::None);
    expect(watch.at(96), Event::Raised, Level::Critical, 95);
    expect(watch.at(90), Event::Cleared, Level::Critical, 95);
}

TEST(Alert, FollowsLimitsThatChange) {
    Watch watch;
    expect(watch.at(85), Event::Raised, Level::Warning, 80);
    watch.limits = {90, 95};
    expect(watch.at(85), Event::Cleared, Level::Warning, 80);
    watch.limits = {50, 60};
    expect(watch.at(85), Event::Raised, Level::Critical, 60);
    watch.limits = {50, -1};
    expect(watch.at(85), Event::Eased, Level::Warning, 50);
    watch.limits = {-1, -1};
    expect(watch.at(85), Event::Cleared, Level::Warning, 50);
}

TEST(Alert, IsOverWhenWhatWasWatchedIsGone) {
    Watch watch;
    EXPECT_EQ(over(watch.state).event, Event::None);
    watch.at(99);
    expect(over(watch.state), Event::Cleared, Level::Critical, 95);
    EXPECT_EQ(watch.state.level, Level::Ok);
    EXPECT_EQ(over(watch.state).event, Event::None);
}

TEST(Alert, OnlyFiniteValuesAreUsable) {
    EXPECT_TRUE(usable(0));
    EXPECT_TRUE(usable(-1e300));
    EXPECT_FALSE(usable(std::numeric_limits<double>::quiet_NaN()));
    EXPECT_FALSE(usable(std::numeric_limits<double>::infinity()));
}

// Property: over random walks, what is told is what an operator expects: every alert begins with raised and ends with
// cleared; it is never raised below its limit nor cleared within 5 % of it; between two repeats lies the time set.
TEST(Alert, TellsAStoryThatHoldsTogether) {
    std::mt19937 random(5);
    for (int round = 0; round < 200; ++round) {
        Watch watch;
        Level told = Level::Ok;
        std::int64_t last = 0;
        double value = 70;
        for (int i = 0; i < 500; ++i) {
            value += std::uniform_real_distribution<double>(-6, 6)(random);
            value = std::min(100.0, std::max(40.0, value));
            const Step step = watch.at(value, std::uniform_int_distribution<std::int64_t>(1, hour / 3)(random));
            switch (step.event) {
            case Event::None:
                ASSERT_TRUE(told == Level::Ok || watch.now - last < hour);
                break;
            case Event::Raised:
                ASSERT_GT(step.level, told);
                ASSERT_GT(value, step.limit);
                break;
            case Event::Repeated:
                ASSERT_EQ(step.level, told);
                ASSERT_GE(watch.now - last, hour);
                break;
            case Event::Eased:
                ASSERT_EQ(told, Level::Critical);
                ASSERT_EQ(step.level, Level::Warning);
                ASSERT_LE(value, 95 * 0.95 + 1e-9);
                break;
            case Event::Cleared:
                ASSERT_EQ(step.level, told);
                ASSERT_LE(value, 80 * 0.95 + 1e-9);
                break;
            }
            if (step.event != Event::None) {
                told = step.event == Event::Cleared ? Level::Ok : step.level;
                last = watch.now;
            }
            ASSERT_EQ(watch.state.level, told);
            ASSERT_FALSE(value > 95 && told != Level::Critical);
            ASSERT_FALSE(value > 80 && told == Level::Ok);
        }
    }
}

TEST(AlertText, Numbers) {
    EXPECT_EQ(number(85), "85");
    EXPECT_EQ(number(0), "0");
    EXPECT_EQ(number(-0.001), "0");
    EXPECT_EQ(number(100), "100");
    EXPECT_EQ(number(85.5), "85.5");
    EXPECT_EQ(number(85.567), "85.57");
    EXPECT_EQ(number(2000000000), "2000000000");
    EXPECT_EQ(number(std::numeric_limits<double>::max()).size(), 309U);
}

TEST(AlertText, QuotesInOneLine) {
    EXPECT_EQ(quoted("school"), "\"school\"");
    EXPECT_EQ(quoted("a\"b\\c"), R"("a\"b\\c")");
    EXPECT_EQ(quoted("a\nlevel=ok\t\x7f"), R"("a\u000alevel=ok\u0009\u007f")");
    EXPECT_EQ(quoted("Schülerin"), "\"Schülerin\"");
}

TEST(AlertText, LineAndJson) {
    Told told = {Event::Raised,          Level::Warning,        "connections", "server", "", 85.25, 80,
                 "2026-01-02T03:04:05Z", "2026-01-02T03:05:05Z"};
    EXPECT_EQ(line(told), "whitecross alert: level=warning name=connections subject=\"server\" value=85.25 limit=80 "
                          "event=raised since=2026-01-02T03:04:05Z");
    EXPECT_EQ(json(told), R"({"event": "raised", "level": "warning", "name": "connections", "subject": "server", )"
                          R"("database": null, "value": 85.25, "limit": 80, "since": "2026-01-02T03:04:05Z", )"
                          R"("at": "2026-01-02T03:05:05Z"})");
    told = {Event::Cleared, Level::Critical, "view_age", "public.\"My \"\"view\"", "school", 3, 2, "a", "b"};
    EXPECT_EQ(line(told), R"(whitecross alert: level=critical name=view_age subject="public.\"My \"\"view\"" value=3 )"
                          R"(limit=2 event=cleared database="school" since=a)");
    EXPECT_EQ(json(told), R"({"event": "cleared", "level": "critical", "name": "view_age", )"
                          R"("subject": "public.\"My \"\"view\"", "database": "school", "value": 3, "limit": 2, )"
                          R"("since": "a", "at": "b"})");
}

} // namespace

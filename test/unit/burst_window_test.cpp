// The arithmetic of bursts. The oracle for sequences is a plain count over all times, made again for each execution.
#include "core/burst_window.hpp"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <random>
#include <vector>

using namespace wc::core::burst;

namespace {

constexpr std::int64_t second = 1000000;

// A session's window with its ring.
class Session {
  public:
    explicit Session(std::uint32_t limit, std::int64_t width = second) : width_(width), times_(limit) {}
    Step at(std::int64_t time) { return count(window, times_.data(), limit(), width_, time); }
    std::int64_t before(std::uint32_t back) { return time_before(window, times_.data(), limit(), back); }
    Window window = {};

  private:
    std::uint32_t limit() const { return static_cast<std::uint32_t>(times_.size()); }
    std::int64_t width_;
    std::vector<std::int64_t> times_;
};

// The counts of all sessions.
class Crowd {
  public:
    explicit Crowd(std::int64_t width = second) : width_(width) {}
    void add(std::int64_t at) { change(at, one_more); }
    void take(std::int64_t at) { change(at, one_less); }
    std::uint32_t sum(std::int64_t at) const {
        std::uint32_t total = 0;
        for (const std::uint64_t word : words_)
            total += counted(word, part_of(at, width_));
        return total;
    }
    void widen(std::int64_t width) { width_ = width; }

  private:
    void change(std::int64_t at, std::uint64_t (*how)(std::uint64_t, std::int64_t)) {
        const std::int64_t part = part_of(at, width_);
        words_[word_of(part)] = how(words_[word_of(part)], part);
    }
    std::int64_t width_;
    std::array<std::uint64_t, parts> words_ = {};
};

} // namespace

TEST(BurstWindow, AsManyAsTheLimitAreNone) {
    Session session(10);
    for (int i = 0; i < 10; ++i)
        EXPECT_EQ(session.at(100 + i), Step::Outside);
    EXPECT_EQ(session.window.size, 0U);
}

TEST(BurstWindow, OneMoreBeginsOne) {
    Session session(10);
    for (int i = 0; i < 10; ++i)
        (void)session.at(100);
    EXPECT_EQ(session.at(100), Step::Begins);
    EXPECT_EQ(session.window.size, 11U);
    EXPECT_EQ(session.at(100), Step::Continues);
    EXPECT_EQ(session.window.size, 12U);
}

TEST(BurstWindow, TheWindowIncludesItsEnds) {
    Session at_the_end(2);
    (void)at_the_end.at(0);
    (void)at_the_end.at(second / 2);
    EXPECT_EQ(at_the_end.at(second), Step::Begins);
    Session behind_it(2);
    (void)behind_it.at(0);
    (void)behind_it.at(second / 2);
    EXPECT_EQ(behind_it.at(second + 1), Step::Outside);
    EXPECT_EQ(behind_it.at(second + second / 2), Step::Begins) << "the window slides: the second to the fourth";
}

TEST(BurstWindow, ItEndsWithTheFirstThatIsTooLate) {
    Session session(3);
    for (int i = 0; i < 6; ++i)
        (void)session.at(i);
    EXPECT_EQ(session.window.size, 6U);
    EXPECT_EQ(session.at(10 * second), Step::Outside);
    EXPECT_EQ(session.window.size, 0U);
    for (int i = 1; i < 3; ++i)
        EXPECT_EQ(session.at(10 * second + i), Step::Outside);
    EXPECT_EQ(session.at(10 * second + 3), Step::Begins);
    EXPECT_EQ(session.window.size, 4U);
}

TEST(BurstWindow, ALimitOfOne) {
    Session session(1);
    EXPECT_EQ(session.at(5), Step::Outside);
    EXPECT_EQ(session.at(6), Step::Begins);
    EXPECT_EQ(session.at(6 + second), Step::Continues);
    EXPECT_EQ(session.at(7 + 2 * second), Step::Outside);
}

TEST(BurstWindow, AClockSetBackBeginsAnew) {
    Session session(3);
    for (int i = 0; i < 3; ++i)
        (void)session.at(100 * second);
    EXPECT_EQ(session.at(second), Step::Outside);
    EXPECT_EQ(session.window.filled, 1U);
    EXPECT_EQ(session.at(second), Step::Outside);
    EXPECT_EQ(session.at(second), Step::Outside);
    EXPECT_EQ(session.at(second), Step::Begins);
}

TEST(BurstWindow, OneThatIsToldOfLateIsTheLast) {
    Session session(3);
    for (const std::int64_t time : {10, 20, 15})
        (void)session.at(time);
    EXPECT_EQ(session.before(0), 20);
    EXPECT_EQ(session.at(12), Step::Begins);
    EXPECT_EQ(session.before(0), 20);
}

TEST(BurstWindow, TellsTheTimesBefore) {
    Session session(4);
    for (int i = 0; i < 7; ++i)
        (void)session.at(i);
    for (std::uint32_t back = 0; back < 4; ++back)
        EXPECT_EQ(session.before(back), 6 - static_cast<int>(back));
}

TEST(BurstWindow, AgreesWithAPlainCount) {
    std::mt19937 random(4);
    for (const std::uint32_t limit : {1U, 2U, 10U, 37U}) {
        Session session(limit);
        std::vector<std::int64_t> all;
        std::int64_t now = 0;
        for (int i = 0; i < 20000; ++i) {
            // Loops, pauses, and what lies between.
            const int kind = static_cast<int>(random() % 20);
            now += kind == 0 ? second : kind < 10 ? second / (limit + 1) : static_cast<std::int64_t>(random() % 20000);
            std::uint32_t in_window = 1;
            for (auto it = all.rbegin(); it != all.rend() && now - *it <= second; ++it)
                in_window++;
            all.push_back(now);
            ASSERT_EQ(session.at(now) != Step::Outside, in_window > limit) << "limit " << limit << ", execution " << i;
        }
    }
}

TEST(BurstParts, SumsWhatIsInTheWindow) {
    Crowd crowd;
    for (int i = 0; i < 20; ++i)
        crowd.add(100 * second + i * second / 20);
    EXPECT_EQ(crowd.sum(100 * second + second - 1), 20U);
    EXPECT_EQ(crowd.sum(101 * second), 18U) << "the first tenth is over";
    EXPECT_EQ(crowd.sum(102 * second - second / 10), 0U);
}

TEST(BurstParts, NeverCountsWhatIsOutsideAndNearlyAllThatIsInside) {
    std::mt19937 random(4);
    Crowd crowd;
    std::deque<std::int64_t> all;
    std::int64_t now = 7 * second;
    for (int i = 0; i < 50000; ++i) {
        now += static_cast<std::int64_t>(random() % 60000) * (random() % 50 == 0 ? 30 : 1);
        crowd.add(now);
        all.push_back(now);
        std::uint32_t whole = 0;
        std::uint32_t nine_tenths = 0;
        while (now - all.front() > second)
            all.pop_front();
        for (const std::int64_t time : all) {
            whole++;
            nine_tenths += now - time < second - second / parts;
        }
        ASSERT_LE(crowd.sum(now), whole) << "execution " << i;
        ASSERT_GE(crowd.sum(now), nine_tenths) << "execution " << i;
    }
}

TEST(BurstParts, TakesBackWhatWasAdded) {
    Crowd crowd;
    for (std::int64_t i = 0; i < 10; ++i)
        crowd.add(50 * second + i * 1000);
    crowd.add(50 * second + second / 2);
    for (std::int64_t i = 0; i < 10; ++i)
        crowd.take(50 * second + i * 1000);
    EXPECT_EQ(crowd.sum(50 * second + second / 2), 1U);
    crowd.take(50 * second);
    EXPECT_EQ(crowd.sum(50 * second + second / 2), 1U) << "there is nothing more to take";
    crowd.add(52 * second);
    crowd.take(51 * second);
    EXPECT_EQ(crowd.sum(52 * second), 1U) << "the same word, of another part";
}

TEST(BurstParts, AClockThatIsReadLateAddsNothing) {
    Crowd crowd;
    crowd.add(11 * second);
    crowd.add(11 * second);
    crowd.add(10 * second);
    EXPECT_EQ(crowd.sum(11 * second), 2U) << "the same word: the later part keeps it";
}

TEST(BurstParts, AWiderWindowOrAClockSetBackIsFollowed) {
    Crowd wider;
    wider.add(1000 * second);
    wider.widen(10 * second);
    wider.add(1000 * second);
    EXPECT_EQ(wider.sum(1000 * second), 1U);
    Crowd back;
    back.add(1000 * second);
    back.add(500 * second);
    EXPECT_EQ(back.sum(500 * second), 1U);
}

TEST(BurstParts, ACountHasAnEnd) {
    std::uint64_t word = one_more(0, 7);
    for (std::uint32_t i = 0; i < (1U << 24) + 5; ++i)
        word = one_more(word, 7);
    EXPECT_EQ(counted(word, 7), (1U << 24) - 1);
    EXPECT_EQ(counted(word, 17), 0U);
}

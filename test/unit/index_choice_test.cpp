// Candidates for indexes, what covers them, and the choice among them. Costs come from a little planner of the test's.
#include "core/index_choice.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>

using namespace wc::core;

namespace {

KeyColumn column(const std::string &name, double distinct = 10) {
    return {name, false, false, distinct};
}

std::vector<std::string> definitions(const TableUse &use) {
    std::vector<std::string> all;
    for (const Candidate &candidate : candidates_for(use))
        all.push_back(candidate.definition());
    return all;
}

bool has(const std::vector<std::string> &all, const std::string &one) {
    return std::find(all.begin(), all.end(), one) != all.end();
}

TableUse lookup(std::vector<KeyColumn> equal) {
    TableUse use;
    use.table = 1;
    use.equal = std::move(equal);
    return use;
}

Candidate index_on(std::vector<KeyColumn> columns, unsigned table = 1) {
    return {table, std::move(columns)};
}

} // namespace

TEST(IndexChoice, WritesAnOrderOnlyWhereItIsNotTheDefault) {
    EXPECT_EQ((KeyColumn{"a", false, false, 0}).definition(), "a");
    EXPECT_EQ((KeyColumn{"a", false, true, 0}).definition(), "a NULLS FIRST");
    EXPECT_EQ((KeyColumn{"a", true, true, 0}).definition(), "a DESC");
    EXPECT_EQ((KeyColumn{"a", true, false, 0}).definition(), "a DESC NULLS LAST");
}

TEST(IndexChoice, ColumnsWithMoreValuesComeFirst) {
    const auto all = definitions(lookup({column("few", 2), column("many", 1000)}));
    ASSERT_FALSE(all.empty());
    EXPECT_EQ(all.front(), "many, few");
    EXPECT_TRUE(has(all, "few, many")) << "it may serve another statement too";
    EXPECT_TRUE(has(all, "many"));
    EXPECT_TRUE(has(all, "few"));
}

TEST(IndexChoice, NeverMoreThanThreeColumnsAndEachOnce) {
    TableUse use = lookup({column("a"), column("b"), column("c"), column("d"), column("a")});
    use.range = {column("e"), column("a")};
    use.orders = {{column("a"), column("f"), column("g")}};
    for (const Candidate &candidate : candidates_for(use)) {
        EXPECT_LE(candidate.columns.size(), 3U);
        for (size_t i = 0; i < candidate.columns.size(); ++i)
            for (size_t j = i + 1; j < candidate.columns.size(); ++j)
                EXPECT_NE(candidate.columns[i].sql, candidate.columns[j].sql) << candidate.definition();
    }
}

TEST(IndexChoice, OneRangeOrAnOrderComesLast) {
    TableUse use = lookup({column("a")});
    use.range = {column("r"), column("s")};
    use.orders = {{column("o"), KeyColumn{"p", true, true, 5}}};
    const auto all = definitions(use);
    for (const char *const wanted : {"a", "a, r", "a, s", "a, o, p DESC", "r", "s", "o, p DESC"})
        EXPECT_TRUE(has(all, wanted)) << wanted;
    EXPECT_FALSE(has(all, "a, r, s"));
}

TEST(IndexChoice, WhatIsLeftOfAnOrderIsReadBackwards) {
    TableUse use = lookup({column("a")});
    use.orders = {{column("a"), KeyColumn{"p", true, true, 5}}};
    EXPECT_TRUE(has(definitions(use), "a, p"));
}

TEST(IndexChoice, NothingAskedNothingTried) {
    EXPECT_TRUE(candidates_for(TableUse{}).empty());
}

TEST(IndexChoice, LeadingColumnsCover) {
    TableUse use = lookup({column("a"), column("b")});
    const Candidate wanted = index_on({column("a"), column("b")});
    EXPECT_FALSE(covered(use, wanted));
    use.indexes = {{{column("a")}, true}};
    EXPECT_FALSE(covered(use, wanted)) << "too short";
    use.indexes = {{{column("b"), column("a"), column("c")}, true}};
    EXPECT_TRUE(covered(use, wanted)) << "in any order, with more behind";
    use.indexes = {{{column("c"), column("a"), column("b")}, true}};
    EXPECT_FALSE(covered(use, wanted)) << "not leading";
    use.indexes = {{{column("a"), column("b")}, false}};
    EXPECT_TRUE(covered(use, wanted)) << "a hash of the same columns";
    use.indexes = {{{column("a"), column("b"), column("c")}, false}};
    EXPECT_FALSE(covered(use, wanted)) << "a hash of more columns";
}

TEST(IndexChoice, OnlyWhatTheStatementUsesHasToBeCovered) {
    TableUse use = lookup({column("a")});
    use.indexes = {{{column("a")}, true}};
    EXPECT_TRUE(covered(use, index_on({column("a"), column("x")})));
    EXPECT_FALSE(covered(use, index_on({column("x"), column("a")})));
}

TEST(IndexChoice, AnOrderIsCoveredBackwardsButNotMixed) {
    TableUse use = lookup({column("a")});
    use.orders = {{column("o"), column("p")}};
    const Candidate wanted = index_on({column("a"), column("o"), column("p")});
    const KeyColumn back_o{"o", true, true, 1};
    const KeyColumn back_p{"p", true, true, 1};
    use.indexes = {{{column("a"), back_o, back_p}, true}};
    EXPECT_TRUE(covered(use, wanted));
    use.indexes = {{{column("a"), back_o, column("p")}, true}};
    EXPECT_FALSE(covered(use, wanted));
    use.indexes = {{{column("a"), KeyColumn{"o", false, true, 1}, column("p")}, true}};
    EXPECT_FALSE(covered(use, wanted));
    use.indexes = {{{column("a"), column("o"), column("p")}, false}};
    EXPECT_FALSE(covered(use, wanted)) << "a hash has no order";
}

TEST(IndexChoice, ARangeNeedsNoOrder) {
    TableUse use = lookup({column("a")});
    use.range = {column("r")};
    use.indexes = {{{column("a"), KeyColumn{"r", true, false, 1}}, true}};
    EXPECT_TRUE(covered(use, index_on({column("a"), column("r")})));
}

namespace {

// A statement costs 100; with a candidate what the test says, with several the least of them.
struct Planner {
    std::vector<std::map<size_t, double>> costs; // of each statement, by candidate
    CostsOf function() const {
        return [this](size_t statement, const std::vector<std::vector<size_t>> &sets) {
            std::vector<double> all;
            for (const auto &set : sets) {
                double least = 100;
                for (const size_t candidate : set) {
                    const auto found = costs.at(statement).find(candidate);
                    if (found != costs.at(statement).end())
                        least = std::min(least, found->second);
                }
                all.push_back(least);
            }
            return all;
        };
    }
};

AskingStatement asking(TableUse use, double calls = 1) {
    return {calls, 100, {std::move(use)}};
}

} // namespace

TEST(IndexChoice, TakesWhatSavesMostAndStopsBelowTheThreshold) {
    const std::vector<Candidate> candidates = {index_on({column("a")}), index_on({column("b")}),
                                               index_on({column("c")})};
    const Planner planner{{{{0, 50}, {1, 10}, {2, 9}}, {{2, 85}}}};
    const auto chosen = choose({asking(lookup({column("a"), column("b"), column("c")})), asking(lookup({column("c")}))},
                               candidates, planner.function(), 0.2, 9);
    ASSERT_EQ(chosen.size(), 1U);
    EXPECT_EQ(chosen[0].candidate, 1U) << "about as good as the third, and named before it";
    EXPECT_EQ(chosen[0].statements, std::vector<size_t>{0});
    EXPECT_DOUBLE_EQ(chosen[0].cost_before, 100);
    EXPECT_DOUBLE_EQ(chosen[0].cost_after, 10);
}

TEST(IndexChoice, CallsCount) {
    const std::vector<Candidate> candidates = {index_on({column("a")}), index_on({column("b")})};
    const Planner planner{{{{0, 10}}, {{1, 60}}}};
    const auto chosen = choose({asking(lookup({column("a")})), asking(lookup({column("b")}), 1000)}, candidates,
                               planner.function(), 0.2, 9);
    ASSERT_EQ(chosen.size(), 2U);
    EXPECT_EQ(chosen[0].candidate, 1U);
    EXPECT_EQ(chosen[1].candidate, 0U);
    EXPECT_EQ(choose({asking(lookup({column("a")})), asking(lookup({column("b")}), 1000)}, candidates,
                     planner.function(), 0.2, 1)
                  .size(),
              1U)
        << "no more than asked for";
}

TEST(IndexChoice, OneIndexForTwoStatementsMakesTheNarrowOneSuperfluous) {
    const std::vector<Candidate> candidates = {index_on({column("a")}), index_on({column("a"), column("b")})};
    // The narrow one saves more at first; the wide one does nearly all of it, and more for the second statement.
    const Planner planner{{{{0, 10}, {1, 11}}, {{0, 40}, {1, 2}}}};
    const auto chosen = choose({asking(lookup({column("a")}), 10), asking(lookup({column("a"), column("b")}))},
                               candidates, planner.function(), 0.2, 9);
    ASSERT_EQ(chosen.size(), 1U);
    EXPECT_EQ(chosen[0].candidate, 1U);
    EXPECT_EQ(chosen[0].statements, (std::vector<size_t>{0, 1}));
    EXPECT_DOUBLE_EQ(chosen[0].calls, 11);
    EXPECT_DOUBLE_EQ(chosen[0].cost_after, (10 * 11 + 2) / 11.0);
}

TEST(IndexChoice, WhatIsCoveredIsNotEvenTried) {
    TableUse use = lookup({column("a")});
    use.indexes = {{{column("a"), column("z")}, true}};
    const CostsOf none = [](size_t, const std::vector<std::vector<size_t>> &sets) {
        ADD_FAILURE() << "planned";
        return std::vector<double>(sets.size(), 0);
    };
    EXPECT_TRUE(choose({asking(use)}, {index_on({column("a")})}, none, 0.2, 9).empty());
    EXPECT_TRUE(choose({asking(use)}, {index_on({column("a")}, 2)}, none, 0.2, 9).empty()) << "another table's";
}

TEST(IndexChoice, WhatCannotBePlannedGainsNothing) {
    const CostsOf none = [](size_t, const std::vector<std::vector<size_t>> &sets) {
        return std::vector<double>(sets.size(), std::numeric_limits<double>::infinity());
    };
    EXPECT_TRUE(choose({asking(lookup({column("a")}))}, {index_on({column("a")})}, none, 0.2, 9).empty());
    EXPECT_TRUE(choose({}, {}, none, 0.2, 9).empty());
}

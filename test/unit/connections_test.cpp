// Rows of a sample of connections: sums, the limits that apply, ages.
#include "core/connections.hpp"

#include <gtest/gtest.h>

#include <algorithm>

using namespace wc::core::connections;

namespace {

constexpr std::int64_t second = 1'000'000;

Counts counts(std::uint32_t active, std::uint32_t idle, std::uint32_t in_transaction, std::uint32_t waiting,
              std::uint32_t total, std::int64_t oldest = 0) {
    return {active, idle, in_transaction, waiting, total, oldest};
}

// Two databases, an ordinary role, a limited one and a superuser; and one session that is being started.
Sample a_sample() {
    Sample sample;
    sample.at = 1000 * second;
    sample.limits = {97, 100};
    sample.databases = {{1, {-1, "school"}}, {2, {40, "archive"}}};
    sample.roles = {{10, {-1, false, "app"}}, {11, {20, false, "reports"}}, {12, {5, true, "postgres"}}};
    sample.groups = {{{1, 10}, counts(3, 2, 1, 2, 6, 990 * second)},
                     {{1, 11}, counts(0, 10, 0, 0, 10)},
                     {{2, 11}, counts(1, 0, 0, 0, 1, 900 * second)},
                     {{2, 12}, counts(1, 0, 0, 0, 2)},
                     {{0, 0}, counts(0, 0, 0, 0, 1)}};
    return sample;
}

const Row &find(const std::vector<Row> &all, Scope scope, std::uint32_t database, std::uint32_t role) {
    const auto found = std::find_if(all.begin(), all.end(), [&](const Row &row) {
        return row.scope == scope && row.database == database && row.role == role;
    });
    if (found == all.end())
        throw std::logic_error("there is no such row");
    return *found;
}

TEST(Connections, EachScopeAddsUp) {
    const Sample sample = a_sample();
    const auto all = rows(sample);
    EXPECT_EQ(all.size(), 1U + 2 + 3 + 4);
    EXPECT_EQ(all.front().scope, Scope::Server);
    EXPECT_EQ(all.front().counts, counts(5, 12, 1, 2, 20, 900 * second));
    EXPECT_EQ(find(all, Scope::Database, 1, 0).counts, counts(3, 12, 1, 2, 16, 990 * second));
    EXPECT_EQ(find(all, Scope::Database, 2, 0).counts, counts(2, 0, 0, 0, 3, 900 * second));
    EXPECT_EQ(find(all, Scope::Role, 0, 11).counts, counts(1, 10, 0, 0, 11, 900 * second));
    EXPECT_EQ(find(all, Scope::DatabaseAndRole, 2, 12).counts, counts(1, 0, 0, 0, 2));
}

TEST(Connections, NamesAreThoseOfTheScope) {
    const Sample sample = a_sample();
    const auto all = rows(sample);
    EXPECT_EQ(all.front().database_name, nullptr);
    EXPECT_EQ(all.front().role_name, nullptr);
    EXPECT_EQ(*find(all, Scope::Database, 2, 0).database_name, "archive");
    EXPECT_EQ(find(all, Scope::Database, 2, 0).role_name, nullptr);
    EXPECT_EQ(*find(all, Scope::DatabaseAndRole, 1, 11).database_name, "school");
    EXPECT_EQ(*find(all, Scope::DatabaseAndRole, 1, 11).role_name, "reports");
}

TEST(Connections, TheLeastLimitApplies) {
    const Sample sample = a_sample();
    const auto all = rows(sample);
    EXPECT_EQ(all.front().max, 97);
    EXPECT_EQ(find(all, Scope::Database, 1, 0).max, 97);
    EXPECT_EQ(find(all, Scope::Database, 2, 0).max, 40);
    EXPECT_EQ(find(all, Scope::Role, 0, 10).max, 97);
    EXPECT_EQ(find(all, Scope::Role, 0, 11).max, 20);
    EXPECT_EQ(find(all, Scope::DatabaseAndRole, 2, 11).max, 20);
    EXPECT_EQ(find(all, Scope::Role, 0, 12).max, 100)
        << "a superuser is held to no limit, and may have what is reserved";
    EXPECT_EQ(find(all, Scope::DatabaseAndRole, 2, 12).max, 100);
    EXPECT_DOUBLE_EQ(*find(all, Scope::DatabaseAndRole, 2, 11).utilisation_percent, 5.0);
    EXPECT_DOUBLE_EQ(*all.front().utilisation_percent, 100.0 * 20 / 97);
}

TEST(Connections, LimitsGreaterThanTheServers) {
    Sample sample = a_sample();
    sample.databases[1].limit = 500;
    sample.roles[10].limit = 98;
    const auto all = rows(sample);
    EXPECT_EQ(find(all, Scope::Database, 1, 0).max, 97);
    EXPECT_EQ(find(all, Scope::DatabaseAndRole, 1, 10).max, 97);
}

TEST(Connections, NobodyMayConnect) {
    Sample sample = a_sample();
    sample.databases[2].limit = 0;
    const auto all = rows(sample);
    EXPECT_EQ(find(all, Scope::Database, 2, 0).max, 0);
    EXPECT_EQ(find(all, Scope::Database, 2, 0).utilisation_percent, std::nullopt);
}

TEST(Connections, AnInvalidDatabaseHasNoLimitOfItsOwn) {
    Sample sample = a_sample();
    sample.databases[2].limit = -2; // as DROP DATABASE leaves one that it could not finish with
    EXPECT_EQ(find(rows(sample), Scope::Database, 2, 0).max, 97);
}

TEST(Connections, AgesAreNeverNegative) {
    Sample sample = a_sample();
    EXPECT_EQ(rows(sample).front().oldest_transaction, 100 * second);
    sample.at = 900 * second - 1; // the clock was set back
    EXPECT_EQ(rows(sample).front().oldest_transaction, 0);
    EXPECT_EQ(find(rows(sample), Scope::DatabaseAndRole, 1, 11).oldest_transaction, std::nullopt);
}

TEST(Connections, WhatIsNotKnownIsLeftOut) {
    Sample sample = a_sample();
    sample.databases.erase(1);
    sample.roles[11].name.clear();
    const auto all = rows(sample);
    EXPECT_EQ(find(all, Scope::Database, 1, 0).database_name, nullptr);
    EXPECT_EQ(find(all, Scope::Database, 1, 0).max, 97);
    EXPECT_EQ(find(all, Scope::Role, 0, 11).role_name, nullptr);
}

TEST(Connections, ARoleWhoseDatabaseIsNotKnownYet) {
    Sample sample = a_sample();
    sample.groups[{0, 11}] = counts(0, 0, 0, 0, 1);
    const auto all = rows(sample);
    EXPECT_EQ(find(all, Scope::Role, 0, 11).counts.total, 12U);
    EXPECT_EQ(all.front().counts.total, 21U);
    EXPECT_EQ(all.size(), 1U + 2 + 3 + 4);
}

TEST(Connections, AnEmptyServer) {
    Sample sample;
    sample.limits = {97, 100};
    const auto all = rows(sample);
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all.front().counts, Counts());
    EXPECT_DOUBLE_EQ(*all.front().utilisation_percent, 0.0);
    EXPECT_EQ(all.front().oldest_transaction, std::nullopt);
}

TEST(Connections, ScopesHaveNames) {
    EXPECT_STREQ(name(Scope::Server), "server");
    EXPECT_STREQ(name(Scope::Database), "database");
    EXPECT_STREQ(name(Scope::Role), "role");
    EXPECT_STREQ(name(Scope::DatabaseAndRole), "database and role");
}

} // namespace

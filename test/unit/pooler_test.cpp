// PgBouncer's answers, read by the names of their columns; its pools over many answers; how long to wait before it is
// tried again.
#include "core/backoff.hpp"
#include "core/pooler_ledger.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace {

using namespace wc::core::pooler;
using std::chrono::milliseconds;
using wc::core::Backoff;

const std::vector<std::string_view> pool_columns = {"database",  "user",    "cl_active",  "cl_waiting",
                                                    "sv_active", "sv_idle", "sv_used",    "sv_tested",
                                                    "sv_login",  "maxwait", "maxwait_us", "pool_mode"};

Answer read(Question question, const std::vector<std::string_view> &columns, const std::vector<std::vector<Cell>> &rows,
            const char *&error) {
    Answer answer;
    Reader reader(question, answer);
    reader.columns(columns);
    for (const auto &row : rows)
        reader.row(row);
    error = reader.error();
    return answer;
}

TEST(PoolerAnswer, IsReadByTheNamesOfItsColumns) {
    const char *error = nullptr;
    const std::vector<Cell> row = {"school", "app", "3", "2", "4", "1", "0", "0", "0", "7", "250000", "transaction"};
    const Answer answer = read(Question::Pools, pool_columns, {row}, error);
    ASSERT_EQ(error, nullptr);
    ASSERT_EQ(answer.pools.size(), 1U);
    EXPECT_EQ(answer.pools[0].database, "school");
    EXPECT_EQ(answer.pools[0].user, "app");
    EXPECT_EQ(answer.pools[0].clients_active, 3);
    EXPECT_EQ(answer.pools[0].clients_waiting, 2);
    EXPECT_EQ(answer.pools[0].servers_active, 4);
    EXPECT_EQ(answer.pools[0].servers_idle, 1);
    EXPECT_EQ(answer.pools[0].maxwait_us, 7250000);

    // The other way round, and without the column that older versions lack.
    const Answer turned =
        read(Question::Pools,
             {"maxwait", "sv_used", "sv_idle", "sv_active", "cl_waiting", "cl_active", "user", "new", "database"},
             {{"7", "0", "1", "4", "2", "3", "app", "x", "school"}}, error);
    ASSERT_EQ(error, nullptr);
    ASSERT_EQ(turned.pools.size(), 1U);
    EXPECT_EQ(turned.pools[0].servers_active, 4);
    EXPECT_EQ(turned.pools[0].maxwait_us, 7000000);
}

TEST(PoolerAnswer, LeavesThePoolersOwnConsoleOut) {
    const char *error = nullptr;
    const Answer answer = read(Question::Databases, {"name", "pool_size", "max_connections"},
                               {{"pgbouncer", "2", "0"}, {"school", "20", Cell()}}, error);
    ASSERT_EQ(error, nullptr);
    ASSERT_EQ(answer.databases.size(), 1U);
    EXPECT_EQ(answer.databases[0].pool_size, 20);
    EXPECT_EQ(answer.databases[0].max_connections, 0);
}

TEST(PoolerAnswer, RefusesWhatIsNone) {
    const char *error = nullptr;
    const auto stats = [&](const std::vector<Cell> &row) {
        return read(Question::Stats, {"database", "total_xact_count", "total_query_count", "total_wait_time"}, {row},
                    error);
    };
    EXPECT_EQ(stats({"school", "1", "2", "3"}).stats.size(), 1U);
    EXPECT_EQ(error, nullptr);
    for (const char *number : {"", "-1", "1.5", "x", "1 ", "99999999999999999999"}) {
        EXPECT_TRUE(stats({"school", number, "2", "3"}).stats.empty()) << number;
        EXPECT_NE(error, nullptr) << number;
    }
    stats({Cell(), "1", "2", "3"});
    EXPECT_NE(error, nullptr);
    stats({"", "1", "2", "3"});
    EXPECT_NE(error, nullptr);
    stats({"school"}); // shorter than its columns: nothing is read behind its end
    EXPECT_EQ(error, nullptr);
    read(Question::Pools, {"database", "user"}, {{"school", "app"}}, error);
    EXPECT_NE(error, nullptr);
    read(Question::Pools, {}, {{}}, error);
    EXPECT_NE(error, nullptr);
}

PoolRow pool(const std::string &database, const std::string &user, std::int64_t active = 0, std::int64_t waiting = 0,
             std::int64_t maxwait_us = 0) {
    PoolRow row;
    row.database = database;
    row.user = user;
    row.clients_active = row.servers_active = active;
    row.clients_waiting = waiting;
    row.maxwait_us = maxwait_us;
    return row;
}

const Pool *find(const Ledger &ledger, const std::string &database, const std::string &user) {
    for (const Pool &each : ledger.pool)
        if (each.database == database && each.user == user)
            return &each;
    return nullptr;
}

const Database *find(const Ledger &ledger, const std::string &name) {
    for (const Database &each : ledger.database)
        if (each.name == name)
            return &each;
    return nullptr;
}

class PoolerLedger : public testing::Test {
  protected:
    std::unique_ptr<Ledger> ledger = std::make_unique<Ledger>();
};

TEST_F(PoolerLedger, CountsWaitsAndKeepsTheLongest) {
    take(*ledger, {{pool("school", "app", 2, 3, 500), pool("school", "other")}, {}, {{"school", 4, 0}}});
    take(*ledger, {{pool("school", "app", 2, 1, 9000)}, {}, {{"school", 4, 0}}});
    take(*ledger, {{pool("school", "app", 1, 0, 0)}, {}, {{"school", 4, 0}}});
    const Pool *app = find(*ledger, "school", "app");
    ASSERT_NE(app, nullptr);
    EXPECT_TRUE(app->listed);
    EXPECT_EQ(app->waits, 2U);
    EXPECT_EQ(app->longest_wait_us, 9000);
    EXPECT_EQ(app->maxwait_us, 0);
    EXPECT_EQ(utilisation_percent(*app), 25.0);
    const Pool *other = find(*ledger, "school", "other");
    ASSERT_NE(other, nullptr);
    EXPECT_FALSE(other->listed);
    EXPECT_EQ(ledger->pools, 1);
    EXPECT_EQ(ledger->clients_active, 1);
}

TEST_F(PoolerLedger, KnowsTheLesserOfTwoLimits) {
    const auto size = [&](std::int64_t pool_size, std::int64_t max_connections) {
        take(*ledger, {{pool("school", "app", 5)}, {}, {{"school", pool_size, max_connections}}});
        return find(*ledger, "school", "app")->pool_size;
    };
    EXPECT_EQ(size(20, 0), 20);
    EXPECT_EQ(size(20, 10), 10);
    EXPECT_EQ(size(20, 50), 20);
    EXPECT_EQ(size(0, 50), 50);
    EXPECT_EQ(size(0, 0), 0);
    EXPECT_FALSE(utilisation_percent(*find(*ledger, "school", "app")).has_value());
    size(4, 0);
    EXPECT_EQ(utilisation_percent(*find(*ledger, "school", "app")), 125.0); // a reserve is used
}

TEST_F(PoolerLedger, AddsTheTotalsUpOverRestarts) {
    const auto totals = [&](std::uint64_t transactions, std::uint64_t queries, std::uint64_t wait) {
        take(*ledger, {{}, {{"school", transactions, queries, wait}}, {}});
        return find(*ledger, "school")->total;
    };
    EXPECT_EQ(totals(1000, 2000, 3000).wait_us, 0U); // what was before is not of this server's time
    EXPECT_EQ(totals(1010, 2020, 3030).wait_us, 30U);
    EXPECT_EQ(totals(5, 2030, 4000).transactions, 15U); // begun anew: one that is less is enough
    EXPECT_EQ(totals(6, 2031, 4001).queries, 20U + 2030 + 1);
    // A database that comes later brings all that it has; not where there was no room for it before.
    take(*ledger, {{}, {{"school", 6, 2031, 4001}, {"new", 7, 8, 9}}, {}});
    EXPECT_EQ(find(*ledger, "new")->total.wait_us, 9U);
    // One that is away for a while goes on where it was.
    take(*ledger, {{}, {{"school", 6, 2031, 4001}}, {}});
    EXPECT_FALSE(find(*ledger, "new")->listed);
    take(*ledger, {{}, {{"school", 6, 2031, 4001}, {"new", 8, 9, 10}}, {}});
    EXPECT_EQ(find(*ledger, "new")->total.wait_us, 10U);
}

TEST_F(PoolerLedger, IsBounded) {
    Answer many;
    for (std::size_t i = 0; i < most_pools + 100; ++i) {
        many.pools.push_back(pool("d" + std::to_string(i), "app"));
        many.stats.push_back({"d" + std::to_string(i), 1, 1, 1});
    }
    take(*ledger, many);
    EXPECT_EQ(ledger->pools, static_cast<std::int64_t>(most_pools + 100));
    EXPECT_EQ(ledger->pools_left_out, 100);
    EXPECT_EQ(ledger->databases_left_out, 100);
    EXPECT_EQ(find(*ledger, "d550", "app"), nullptr);
    // One that is used takes the place of one that is not, and is still counted among all.
    many.pools[550] = pool("d550", "app", 2, 1, 10);
    take(*ledger, many);
    ASSERT_NE(find(*ledger, "d550", "app"), nullptr);
    EXPECT_EQ(find(*ledger, "d550", "app")->waits, 1U);
    EXPECT_EQ(ledger->pools_left_out, 100);
    EXPECT_EQ(ledger->clients_waiting, 1);
    // One that was waited for keeps its place while it is listed, whoever else comes.
    for (PoolRow &row : many.pools)
        row = row.database == "d550" ? pool("d550", "app") : pool(row.database, "app", 1);
    take(*ledger, many);
    EXPECT_EQ(find(*ledger, "d550", "app")->waits, 1U);
    // All go, others come: those that were longest away give their places up.
    Answer others;
    others.pools = {pool("e", "app")};
    others.stats = {{"e", 5, 5, 5}};
    take(*ledger, others);
    ASSERT_NE(find(*ledger, "e", "app"), nullptr);
    EXPECT_EQ(ledger->pools_left_out, 0);
    EXPECT_EQ(find(*ledger, "e")->total.transactions, 0U); // there was no room for all before
}

TEST_F(PoolerLedger, NeverTakesThePlaceOfOneThatIsYetToBeRead) {
    Answer many;
    for (std::size_t i = 0; i < most_databases; ++i) {
        many.pools.push_back(pool("d" + std::to_string(i), "app", 0, 1));
        many.stats.push_back({"d" + std::to_string(i), 1, 1, 1});
    }
    take(*ledger, many);
    many.pools.insert(many.pools.begin(), pool("new", "app", 1, 1));
    many.stats.insert(many.stats.begin(), {"new", 1, 1, 1});
    take(*ledger, many);
    EXPECT_EQ(find(*ledger, "new", "app"), nullptr);
    EXPECT_EQ(find(*ledger, "new"), nullptr);
    for (std::size_t i = 0; i < most_databases; ++i)
        EXPECT_EQ(find(*ledger, "d" + std::to_string(i), "app")->waits, 2U);
    EXPECT_EQ(ledger->pools_left_out, 1);
    EXPECT_EQ(ledger->databases_left_out, 1);
}

TEST_F(PoolerLedger, CutsLongNamesAndTakesTheSameOnce) {
    const std::string name = std::string(62, 'x') + "\xC3\xA9" + "tail"; // the cut would be within a character
    take(*ledger, {{pool(name, "app", 0, 1), pool(name, "app", 0, 1)}, {{name, 1, 1, 1}, {name, 9, 9, 9}}, {}});
    take(*ledger, {{pool(name, "app", 0, 1), pool(name, "app", 0, 1)}, {{name, 2, 2, 2}, {name, 9, 9, 9}}, {}});
    const Pool *found = find(*ledger, std::string(62, 'x'), "app");
    ASSERT_NE(found, nullptr);
    EXPECT_TRUE(found->listed);
    EXPECT_EQ(found->waits, 2U);
    EXPECT_EQ(find(*ledger, std::string(62, 'x'))->total.wait_us, 1U);
}

TEST(Backoff, WaitsTwiceAsLongEachTimeUpToALimit) {
    Backoff backoff(milliseconds(1000));
    EXPECT_EQ(backoff.failed(milliseconds(5000)), milliseconds(1000));
    EXPECT_EQ(backoff.failed(milliseconds(5000)), milliseconds(2000));
    EXPECT_EQ(backoff.failed(milliseconds(5000)), milliseconds(4000));
    EXPECT_EQ(backoff.failed(milliseconds(5000)), milliseconds(5000));
    EXPECT_EQ(backoff.failed(milliseconds(60000)), milliseconds(10000));
    EXPECT_EQ(backoff.failed(milliseconds(10)), milliseconds(1000)); // never less than the first
    backoff.succeeded();
    EXPECT_EQ(backoff.failed(milliseconds(5000)), milliseconds(1000));
}

} // namespace

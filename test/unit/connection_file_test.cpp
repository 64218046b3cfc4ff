// The files of samples of connections: what is written is read, whatever differs from one sample to the next, and
// nothing else is taken for it.
#include "core/connection_file.hpp"

#include <gtest/gtest.h>

#include <random>

using namespace wc::core::connections;
using wc::core::history::Fault;

namespace {

constexpr std::int64_t hour_of_test = 235760;
constexpr std::uint64_t run_of_test = 0x0123456789abcdef;
constexpr std::int64_t first_moment = hour_of_test * 3'600'000'000;

// What is left of a sample once it is read: of databases and roles those that its groups have.
Sample trimmed(Sample sample) {
    const auto used = [&](std::uint32_t oid, bool database) {
        for (const auto &each : sample.groups)
            if ((database ? each.first.first : each.first.second) == oid)
                return true;
        return false;
    };
    std::erase_if(sample.databases, [&](const auto &each) { return !used(each.first, true); });
    std::erase_if(sample.roles, [&](const auto &each) { return !used(each.first, false); });
    return sample;
}

std::vector<Sample> read(std::string_view records) {
    std::vector<Sample> all;
    Decoder decoder;
    EXPECT_TRUE(decoder.decode(records, [&](const Sample &sample) { all.push_back(trimmed(sample)); }));
    return all;
}

// A server on which things happen at random: groups come, change and go, names and limits change, the clock is set.
class Server {
  public:
    explicit Server(unsigned seed) : random_(seed) {}

    Sample next() {
        now_.at += up_to(20) == 0 ? -static_cast<std::int64_t>(up_to(7'200'000'000)) : up_to(60'000'000);
        if (up_to(30) == 0)
            now_.limits = {static_cast<std::int32_t>(up_to(300)), 300};
        for (std::uint64_t changes = up_to(4); changes > 0; --changes)
            change(static_cast<std::uint32_t>(up_to(4)), static_cast<std::uint32_t>(up_to(6)));
        return trimmed(now_);
    }

  private:
    std::uint64_t up_to(std::uint64_t most) { return std::uniform_int_distribution<std::uint64_t>(0, most)(random_); }

    void change(std::uint32_t database, std::uint32_t role) {
        if (up_to(3) == 0) {
            now_.groups.erase({database, role});
            return;
        }
        Counts counts;
        counts.total = static_cast<std::uint32_t>(up_to(300)) + 1;
        counts.active = static_cast<std::uint32_t>(up_to(counts.total));
        counts.idle = counts.total - counts.active;
        counts.idle_in_transaction = static_cast<std::uint32_t>(up_to(3));
        counts.waiting = static_cast<std::uint32_t>(up_to(counts.active));
        now_.groups[{database, role}] = counts;
        if (database != 0)
            now_.databases[database] = {static_cast<std::int32_t>(up_to(3)) - 2, std::string(up_to(63), 'd')};
        if (role != 0)
            now_.roles[role] = {static_cast<std::int32_t>(up_to(3)) - 1, up_to(1) == 1, std::string(up_to(63), 'r')};
    }

    std::mt19937_64 random_;
    Sample now_ = {first_moment, {97, 100}, {}, {}, {}};
};

Sample one_group(std::int64_t at, const Counts &counts) {
    return {at, {97, 100}, {{5, {-1, "school"}}}, {{10, {20, false, "app"}}}, {{{5, 10}, counts}}};
}

TEST(ConnectionFile, SamplesComeBack) {
    for (unsigned seed = 1; seed <= 20; ++seed) {
        Server server(seed);
        Encoder encoder;
        std::string records;
        std::vector<Sample> all;
        for (int i = 0; i < 200; ++i) {
            if (i % 50 == 49)
                encoder.forget();
            all.push_back(server.next());
            records += encoder.encode(all.back());
        }
        EXPECT_EQ(read(records), all) << "seed " << seed;
    }
}

TEST(ConnectionFile, TheOldestTransactionKeepsItsMoment) {
    Encoder encoder;
    std::string records;
    std::vector<Sample> all;
    for (const auto &[at, oldest] : std::initializer_list<std::pair<std::int64_t, std::int64_t>>{
             {100, 100}, {200, 100}, {300, 0}, {400, 399}, {500, -1'000'000}}) {
        all.push_back(one_group(first_moment + at, {1, 0, 0, 0, 1, oldest == 0 ? 0 : first_moment + oldest}));
        records += encoder.encode(all.back());
    }
    EXPECT_EQ(read(records), all);
}

TEST(ConnectionFile, ATransactionFromAClockSetBackIsAsOfNow) {
    Encoder encoder;
    const auto all = read(encoder.encode(one_group(first_moment, {1, 0, 0, 0, 1, first_moment + 5})));
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(rows(all[0]).front().oldest_transaction, 0);
}

TEST(ConnectionFile, WhatDoesNotChangeTakesAFewBytes) {
    Encoder encoder;
    Sample sample = one_group(first_moment, {1, 2, 0, 0, 3, first_moment - 5});
    (void)encoder.encode(sample);
    sample.at += 30'000'000;
    EXPECT_LE(encoder.encode(sample).size(), 8U);
}

TEST(ConnectionFile, WithoutItsBeginningNothingIsRead) {
    Encoder encoder;
    (void)encoder.encode(one_group(first_moment, {1, 0, 0, 0, 1, 0}));
    const std::string second = encoder.encode(one_group(first_moment + 1, {0, 1, 0, 0, 1, 0}));
    Decoder decoder;
    EXPECT_FALSE(decoder.decode(second, [](const Sample &) { FAIL() << "a sample"; }));
}

TEST(ConnectionFile, TornRecordsGiveNoSample) {
    Encoder encoder;
    const std::string records = encoder.encode(one_group(first_moment, {1, 2, 0, 0, 3, first_moment - 5}));
    for (std::size_t size = 1; size < records.size(); ++size) {
        Decoder decoder;
        (void)decoder.decode(std::string_view(records).substr(0, size),
                             [&](const Sample &) { FAIL() << size << " bytes gave a sample"; });
    }
}

TEST(ConnectionFile, AnythingCanBeRead) {
    std::mt19937_64 random(7);
    for (int i = 0; i < 20000; ++i) {
        std::string bytes(1, '\1'); // so that it begins as it should
        for (std::uint64_t left = random() % 40; left > 0; --left)
            bytes += static_cast<char>(random() % (i % 2 == 0 ? 8 : 256));
        Decoder decoder;
        (void)decoder.decode(bytes, [](const Sample &sample) { (void)rows(sample); });
    }
}

TEST(ConnectionFile, PiecesFollowEachOther) {
    const std::string first = piece(hour_of_test, run_of_test, "one");
    const std::string second = piece(hour_of_test, run_of_test, "");
    const std::string file = first + second;
    std::string_view rest = file;
    Taken taken = take_piece(rest, hour_of_test, run_of_test);
    EXPECT_EQ(taken.front, Front::Piece);
    EXPECT_EQ(taken.records, "one");
    taken = take_piece(rest, hour_of_test, run_of_test);
    EXPECT_EQ(taken.front, Front::Piece);
    EXPECT_EQ(taken.records, "");
    EXPECT_TRUE(rest.empty());
    EXPECT_EQ(whole(file, hour_of_test, run_of_test), file.size());
    EXPECT_EQ(whole("", hour_of_test, run_of_test), 0U);
}

TEST(ConnectionFile, TornAtEachByte) {
    const std::string first = piece(hour_of_test, run_of_test, "one");
    const std::string file = first + piece(hour_of_test, run_of_test, "two");
    for (std::size_t size = first.size() + 1; size < file.size(); ++size) {
        std::string_view rest = std::string_view(file).substr(first.size(), size - first.size());
        EXPECT_EQ(take_piece(rest, hour_of_test, run_of_test).front, Front::Torn) << size;
        EXPECT_EQ(whole(std::string_view(file).substr(0, size), hour_of_test, run_of_test), first.size()) << size;
    }
}

TEST(ConnectionFile, EachBitCounts) {
    const std::string bytes = piece(hour_of_test, run_of_test, "some records");
    for (std::size_t i = 0; i < bytes.size() * 8; ++i) {
        std::string changed = bytes;
        changed[i / 8] = static_cast<char>(static_cast<unsigned char>(changed[i / 8]) ^ (1U << (i % 8)));
        std::string_view rest = changed;
        EXPECT_NE(take_piece(rest, hour_of_test, run_of_test).front, Front::Piece) << i;
        EXPECT_EQ(whole(changed, hour_of_test, run_of_test), 0U) << i;
    }
}

TEST(ConnectionFile, OthersAreToldFromIt) {
    const auto fault_of = [](std::string_view bytes, std::int64_t hour, std::uint64_t run) {
        const Taken taken = take_piece(bytes, hour, run);
        EXPECT_EQ(taken.front, Front::Fault);
        return taken.fault;
    };
    const std::string bytes = piece(hour_of_test, run_of_test, "some records");
    EXPECT_EQ(fault_of("-- somebody's notes", hour_of_test, run_of_test), Fault::Foreign);
    EXPECT_EQ(fault_of(bytes, hour_of_test + 1, run_of_test), Fault::Misplaced);
    EXPECT_EQ(fault_of(bytes, hour_of_test, 1), Fault::Misplaced);
    std::string newer = bytes;
    newer[4] = 2;
    EXPECT_EQ(fault_of(newer, hour_of_test, run_of_test), Fault::Version);
}

} // namespace

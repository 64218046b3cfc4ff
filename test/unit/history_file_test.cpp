// The files of the query history: what is written is read, and nothing else is taken for it.
#include "core/history_file.hpp"

#include <gtest/gtest.h>

#include <limits>

using namespace wc::core::history;

namespace {

constexpr std::int64_t hour_of_test = 235760; // 2026-11-23 08:00 UTC
constexpr std::uint64_t run_of_test = 0x0123456789abcdef;

Hour an_hour(std::size_t patterns) {
    Hour hour{hour_of_test, run_of_test, {7, 8, 9, 5}, {}};
    for (std::size_t i = 0; i < patterns; ++i)
        hour.patterns.push_back(
            {static_cast<std::uint32_t>(i), 10, ~i, {i, 2 * i, 1000 + static_cast<std::int64_t>(i), 3}});
    return hour;
}

Texts some_texts() {
    return {hour_of_test,
            run_of_test,
            {{0, {6, ""}},
             {1, {-1, "select $1"}},
             {std::numeric_limits<std::uint64_t>::max(), {6, std::string(5000, 'x')}}}};
}

Fault fault_of(std::string_view bytes) {
    Hour hour;
    const Fault fault = decode(bytes, hour_of_test, run_of_test, hour);
    EXPECT_TRUE(fault == Fault::None || hour == Hour()) << "what is faulty leaves nothing behind";
    return fault;
}

TEST(HistoryFile, HoursComeBack) {
    for (const std::size_t patterns : {0, 1, 1000}) {
        Hour read;
        ASSERT_EQ(decode(encode(an_hour(patterns)), hour_of_test, run_of_test, read), Fault::None);
        EXPECT_EQ(read, an_hour(patterns));
    }
}

TEST(HistoryFile, TextsComeBack) {
    for (const Texts &texts : {Texts{hour_of_test, run_of_test, {}}, some_texts()}) {
        Texts read;
        ASSERT_EQ(decode(encode(texts), hour_of_test, run_of_test, read), Fault::None);
        EXPECT_EQ(read, texts);
    }
}

TEST(HistoryFile, TornAtEachByte) {
    const std::string bytes = encode(an_hour(3));
    for (std::size_t size = 0; size < bytes.size(); ++size)
        EXPECT_EQ(fault_of(bytes.substr(0, size)), Fault::Damaged) << size;
    EXPECT_EQ(fault_of(bytes + '\0'), Fault::Damaged);
    const std::string texts = encode(some_texts());
    for (std::size_t size = 0; size < texts.size(); ++size) {
        Texts read;
        EXPECT_EQ(decode(texts.substr(0, size), hour_of_test, run_of_test, read), Fault::Damaged) << size;
    }
}

TEST(HistoryFile, EachBitCounts) {
    const std::string bytes = encode(an_hour(2));
    for (std::size_t i = 0; i < bytes.size() * 8; ++i) {
        std::string changed = bytes;
        changed[i / 8] = static_cast<char>(static_cast<unsigned char>(changed[i / 8]) ^ (1U << (i % 8)));
        EXPECT_NE(fault_of(changed), Fault::None) << i;
    }
}

TEST(HistoryFile, OthersAreToldFromIt) {
    EXPECT_EQ(fault_of("-- somebody's notes, long enough to have a header in them"), Fault::Foreign);
    EXPECT_EQ(fault_of(encode(some_texts())), Fault::Foreign);
    std::string newer = encode(an_hour(1));
    newer[4] = 2;
    EXPECT_EQ(fault_of(newer), Fault::Version);
    Hour read;
    EXPECT_EQ(decode(encode(an_hour(1)), hour_of_test + 1, run_of_test, read), Fault::Misplaced);
    EXPECT_EQ(decode(encode(an_hour(1)), hour_of_test, 1, read), Fault::Misplaced);
}

TEST(HistoryFile, Names) {
    const FileName name{hour_of_test, run_of_test, Kind::Totals};
    EXPECT_EQ(file_name(name), "20261123T08-0123456789abcdef.totals");
    EXPECT_EQ(file_name({0, 0, Kind::Texts}), "20000101T00-0000000000000000.texts");
    EXPECT_EQ(file_name({0, 0, Kind::Connections}), "20000101T00-0000000000000000.connections");
    for (const FileName &each :
         {name, FileName{hour_of_test + 15, 1, Kind::Texts}, FileName{hour_of_test, 2, Kind::Connections},
          FileName{59 * 24 + 23, ~0ULL, Kind::Totals}})
        EXPECT_EQ(parse_name(file_name(each)), each) << file_name(each);
    EXPECT_EQ(file_name({59 * 24 + 23, 0, Kind::Totals}).substr(0, 11), "20000229T23");
}

TEST(HistoryFile, NamesThatAreNot) {
    for (const char *const name :
         {"", ".", "..", "README", "20261123T08-0123456789abcdef", "20261123T08-0123456789abcdef.totals.tmp",
          "20261123T08-0123456789abcdef.txt", "20261123T24-0123456789abcdef.totals",
          "20261323T08-0123456789abcdef.totals", "20260229T08-0123456789abcdef.totals",
          "20261123T08-0123456789ABCDEF.totals", "20261123x08-0123456789abcdef.totals",
          "20261123T08_0123456789abcdef.totals", "+0261123T08-0123456789abcdef.totals",
          "20261123T08-0123456789abcdeg.totals", "x20261123T08-0123456789abcdef.totals"})
        EXPECT_FALSE(parse_name(name)) << name;
}

TEST(HistoryFile, TotalsAdd) {
    Totals totals{1, 2, 3, 4};
    totals.add({10, 20, 30, 3});
    EXPECT_EQ(totals, (Totals{11, 22, 33, 4}));
    EXPECT_EQ(day_of(23), 0);
    EXPECT_EQ(day_of(24), 1);
    EXPECT_EQ(last_hour_of_day(24), 47);
    EXPECT_EQ(last_hour_of_day(47), 47);
}

} // namespace

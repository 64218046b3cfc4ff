// The bytes of a value of the second tier.
#include "core/tier_value.hpp"

#include <gtest/gtest.h>

namespace {

namespace tier = wc::core::tier;

std::string some() {
    tier::Head head;
    head.since = 7;
    head.expires = 123456789;
    head.cost_ms = 1.5;
    head.tagged = 1;
    head.tables = 2;
    head.dependencies = 3;
    head.size = 4;
    std::string value = tier::begin(head);
    for (std::uint32_t i = 0; i < 3; ++i)
        tier::put_dependency(value, {std::uint64_t{1} << (40 + i), 100 + i});
    tier::put_table(value, 16400);
    tier::put_table(value, 4000000000);
    return value + "rows";
}

TEST(TierValue, ComesBackAsItWas) {
    const std::string bytes = some();
    EXPECT_EQ(bytes.size(), tier::overhead(3, 2) + 4);
    const auto value = tier::read(bytes);
    ASSERT_TRUE(value.has_value());
    EXPECT_EQ(value->head.since, 7U);
    EXPECT_EQ(value->head.expires, 123456789);
    EXPECT_EQ(value->head.cost_ms, 1.5);
    EXPECT_EQ(value->head.tagged, 1U);
    for (std::uint32_t i = 0; i < 3; ++i) {
        EXPECT_EQ(value->dependency(i).generation, std::uint64_t{1} << (40 + i));
        EXPECT_EQ(value->dependency(i).cell, 100 + i);
    }
    EXPECT_EQ(value->table(0), 16400U);
    EXPECT_EQ(value->table(1), 4000000000U);
    EXPECT_EQ(value->rows, "rows");
}

TEST(TierValue, MayBeOfNothing) {
    const auto value = tier::read(tier::begin({}));
    ASSERT_TRUE(value.has_value());
    EXPECT_TRUE(value->rows.empty());
}

TEST(TierValue, IsNoneOfAnotherSize) {
    const std::string bytes = some();
    for (size_t size = 0; size < bytes.size(); ++size)
        EXPECT_FALSE(tier::read(std::string_view(bytes).substr(0, size)).has_value()) << size;
    EXPECT_FALSE(tier::read(bytes + "x").has_value());
    tier::Head head;
    head.dependencies = ~std::uint64_t{0} / tier::dependency_size + 1; // as many as make a size of 0 or so
    EXPECT_FALSE(tier::read(std::string(reinterpret_cast<const char *>(&head), sizeof(head))).has_value());
    head.dependencies = 0;
    head.size = ~std::uint64_t{0};
    EXPECT_FALSE(tier::read(std::string(reinterpret_cast<const char *>(&head), sizeof(head))).has_value());
}

} // namespace

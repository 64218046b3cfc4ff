// Which columns of which tables are the key of a view itself.
#include "core/direct_keys.hpp"

#include <gtest/gtest.h>

using namespace wc::core;

namespace {

using Sources = std::map<std::string, std::string>;

TEST(DirectKeys, FollowFromAMarkInTheWhereOfTheSameSelect) {
    EXPECT_EQ(
        direct_sources("SELECT s.\"id\" FROM {students: id, grade} AS s WHERE s.\"grade\" = '1' {only s.\"id\"}", 1),
        (Sources{{"students", "SELECT c.\"id\" FROM {changed: id} AS c"}}));
    EXPECT_EQ(direct_sources("SELECT 1 FROM {a: x, y} b WHERE true {only b.y, b.x}", 2),
              (Sources{{"a", "SELECT c.\"y\", c.\"x\" FROM {changed: y, x} AS c"}}));
    EXPECT_EQ(direct_sources("SELECT 1 FROM {a: \"odd one\"} AS \"A\" WHERE true {only \"A\".\"odd one\"}", 1),
              (Sources{{"a", "SELECT c.\"odd one\" FROM {changed: \"odd one\"} AS c"}}));
}

TEST(DirectKeys, AreThoseOfEachReference) {
    const std::string text =
        "SELECT 1 FROM {students: id} AS s LEFT JOIN (SELECT a.k FROM {allergies: k} AS a WHERE true "
        "{only a.k}) AS x ON x.k = s.id WHERE s.id IS DISTINCT FROM x.k {only s.id}";
    EXPECT_EQ(direct_sources(text, 1), (Sources{{"students", "SELECT c.\"id\" FROM {changed: id} AS c"},
                                                {"allergies", "SELECT c.\"k\" FROM {changed: k} AS c"}}));
    // By two columns, in two references.
    EXPECT_EQ(
        direct_sources("SELECT 1 FROM {a: x} AS p WHERE true {only p.x} UNION ALL SELECT 1 FROM {a: y} AS p WHERE true "
                       "{only p.y}",
                       1),
        (Sources{{"a", "SELECT c.\"x\" FROM {changed: x} AS c UNION ALL SELECT c.\"y\" FROM {changed: y} AS c"}}));
}

TEST(DirectKeys, NeedEveryReferenceToBeMarked) {
    EXPECT_EQ(direct_sources("SELECT (SELECT count(*) FROM {a: x} AS b) FROM {a: x} AS c WHERE true {only c.x}", 1),
              Sources{});
    // In a comment or a text a reference is one all the same: the text is expanded there too.
    EXPECT_EQ(direct_sources("SELECT 1 /* {a: x} AS b */ FROM {a: x} AS c WHERE true {only c.x}", 1), Sources{});
    EXPECT_EQ(direct_sources("SELECT '{a: x}' FROM {a: x} AS c WHERE true {only c.x}", 1), Sources{});
}

TEST(DirectKeys, NeedAMarkThatRestricts) {
    const auto none = [](const char *text) { return direct_sources(text, 1).empty(); };
    EXPECT_TRUE(none("SELECT 1 FROM {a: x} AS b WHERE b.y OR b.z {only b.x}"));
    EXPECT_TRUE(none("SELECT 1 FROM {a: x} AS b WHERE b.z {only b.x} OR b.y"));
    EXPECT_TRUE(none("SELECT 1 FROM {a: x} AS b WHERE CASE WHEN b.y THEN b.z {only b.x} END"));
    EXPECT_TRUE(none("SELECT 1 FROM {a: x} AS b LEFT JOIN {c: y} AS d ON true {only b.x}"));
    EXPECT_TRUE(none("SELECT 1 FROM {a: x} AS b WHERE EXISTS (SELECT FROM {c: y} AS d WHERE true {only b.x})"));
    EXPECT_TRUE(none("SELECT b.x FROM {a: x} AS b GROUP BY 1 HAVING true {only b.x}"));
    EXPECT_TRUE(none("SELECT 1 FROM {a: x} AS b WHERE true {only b.x + 1}"));
    EXPECT_TRUE(none("SELECT 1 FROM {a: x} AS b WHERE true {only x}"));
    EXPECT_TRUE(none("SELECT 1 FROM {a: x} AS b WHERE true {only b.x, b.y}"));
    EXPECT_TRUE(none("SELECT b.\"where\" FROM {a: x} AS b JOIN {c: y} AS d ON d.\"where\" = b.where {only b.x}"));
    EXPECT_FALSE(none("SELECT 1 FROM {a: x} AS b WHERE (b.y OR b.z) AND 'or' = \"or\" /* or */ -- or\n {only b.x}"));
    EXPECT_FALSE(none("SELECT CASE WHEN b.x THEN 1 END FROM {a: x} AS b WHERE $$ or $$ = E'\\' or ' {only b.x}"));
    EXPECT_FALSE(none("WITH w AS (SELECT b.x FROM {a: x} AS b WHERE true {only b.x}) SELECT * FROM w"));
}

TEST(DirectKeys, KnowTheirSection) {
    EXPECT_FALSE(direct_sources("SELECT 1 FROM {a: x} AS b WHERE true {when keys} {only b.x} {end}", 1).empty());
}

TEST(TableNames, AreThoseOfPlaceholders) {
    EXPECT_EQ(table_names("{a: x} {changed: y} {only b.x} {{c: z}} {a: w} {d_1: z}"),
              (std::set<std::string>{"a", "d_1"}));
    EXPECT_THROW(table_names("{a: x"), std::invalid_argument);
}

TEST(KeyMarks, AreOnlyAndWhenKeys) {
    EXPECT_TRUE(has_key_marks("{only a.x}"));
    EXPECT_TRUE(has_key_marks("{when keys}{end}"));
    EXPECT_FALSE(has_key_marks("SELECT {now} FROM {a: x} AS b"));
}

} // namespace

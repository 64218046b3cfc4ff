// Normalised statements made readable. What has to come out is what the statement was, with $n for its constants.
#include "core/parsable.hpp"

#include <gtest/gtest.h>

using namespace wc::core;

TEST(Parsable, ValuesOfATypeBecomeCasts) {
    EXPECT_EQ(parsable("SELECT now() - interval $1"), "SELECT now() - CAST($1 AS interval)");
    EXPECT_EQ(parsable("SELECT date $1, Timestamp $2, time $3"),
              "SELECT CAST($1 AS date), CAST($2 AS Timestamp), CAST($3 AS time)");
    EXPECT_EQ(parsable("x > timestamp with time zone $12"), "x > CAST($12 AS timestamp with time zone)");
    EXPECT_EQ(parsable("x > time without time zone $1 AND y"), "x > CAST($1 AS time without time zone) AND y");
    EXPECT_EQ(parsable("SELECT double precision $1"), "SELECT CAST($1 AS double precision)");
    EXPECT_EQ(parsable("SELECT pg_catalog.date $1, \"my type\" $2"),
              "SELECT CAST($1 AS pg_catalog.date), CAST($2 AS \"my type\")");
}

TEST(Parsable, ModifiersOfTypesGo) {
    EXPECT_EQ(parsable("SELECT $1::varchar($2), CAST(x AS numeric($3, $4))"), "SELECT $1::varchar, CAST(x AS numeric)");
    EXPECT_EQ(parsable("x::character varying($1)"), "x::character varying");
    EXPECT_EQ(parsable("x::timestamp($1) with time zone"), "x::timestamp with time zone");
}

TEST(Parsable, OtherParametersStay) {
    for (const char *const text :
         {"SELECT $1 FROM t WHERE a = $2 AND b IN ($3, $4) OR c BETWEEN $5 AND $6 LIMIT $7 OFFSET $8",
          "SELECT now() AT TIME ZONE $1", "SELECT CASE WHEN a THEN $1 ELSE $2 END",
          "SELECT * FROM t WHERE a LIKE $1 ESCAPE $2 AND b IS NOT DISTINCT FROM $3 AND NOT $4",
          "SELECT substring(a FROM $1 FOR $2), overlay(a PLACING $3 FROM $4)", "INSERT INTO t VALUES ($1, $2)",
          "UPDATE t SET a = DEFAULT WHERE b > ANY ($1) AND \"date\" = $2", "FETCH FIRST $1 ROWS ONLY",
          "SELECT f($1), g(x, $2), left(a, $3)", "SELECT a ILIKE $1, b SIMILAR TO $2",
          "VALUES ($1) UNION ALL SELECT $2", "SELECT sum(a) OVER (ROWS BETWEEN $1 PRECEDING AND $2 FOLLOWING)", "",
          "$1"})
        EXPECT_EQ(parsable(text), text);
}

TEST(Parsable, NamesThatLookLikeOtherThingsStay) {
    EXPECT_EQ(parsable("SELECT \"interval $1\" FROM \"a\"\"b $2\""), "SELECT \"interval $1\" FROM \"a\"\"b $2\"");
    EXPECT_EQ(parsable("SELECT a$1 FROM t"), "SELECT a$1 FROM t");
    EXPECT_EQ(parsable("SELECT \"unfinished"), "SELECT \"unfinished");
}

TEST(Parsable, ParametersByNearness) {
    const std::string text = "a = $1 AND b > c - $2 AND d < $3 AND e = $1";
    EXPECT_EQ(parameters_near(text, text.find('>')), (std::vector<int>{2, 3, 1}));
    EXPECT_EQ(parameters_near(text, 0), (std::vector<int>{1, 2, 3}));
    EXPECT_EQ(parameters_near(text, text.size()), (std::vector<int>{1, 3, 2}));
    EXPECT_TRUE(parameters_near("SELECT \"$1\"", 0).empty());
}

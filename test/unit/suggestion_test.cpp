// Advice on loops: each command has its own.
#include "core/suggestion.hpp"

#include <gtest/gtest.h>

using wc::core::suggestion;

TEST(Suggestion, ReadsByAnArrayOrAJoin) {
    const std::string advice = suggestion("SELECT", "SELECT * FROM students WHERE id = $1");
    EXPECT_NE(advice.find("= ANY ($1)"), std::string::npos);
    EXPECT_NE(advice.find("join"), std::string::npos);
    EXPECT_NE(advice.find("include"), std::string::npos);
    EXPECT_EQ(suggestion("SELECT", ""), advice) << "a text that is not known";
}

TEST(Suggestion, WritesManyRowsAtOnce) {
    EXPECT_NE(suggestion("INSERT", "INSERT INTO t VALUES ($1)").find("one INSERT"), std::string::npos);
    EXPECT_NE(suggestion("UPDATE", "UPDATE t SET a = $1 WHERE id = $2").find("one UPDATE"), std::string::npos);
    EXPECT_NE(suggestion("DELETE", "DELETE FROM t WHERE id = $1").find("one DELETE"), std::string::npos);
    EXPECT_NE(suggestion("MERGE", "MERGE INTO t USING s ON t.id = $1").find("one MERGE"), std::string::npos);
}

TEST(Suggestion, TheSameQuestionIsAskedOnce) {
    EXPECT_NE(suggestion("SELECT", "SELECT count(*) FROM students").find("once"), std::string::npos);
}

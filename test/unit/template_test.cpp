// The template language of managed objects.
#include "core/template.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

using namespace wc::core;

namespace {

std::string mark(std::string_view body) {
    return "<" + std::string(body) + ">";
}

TEST(Expand, ReplacesEachPlaceholderByItsTrimmedBody) {
    EXPECT_EQ(expand("a {x} b { y z } c", mark), "a <x> b <y z> c");
    EXPECT_EQ(expand("no placeholder", mark), "no placeholder");
}

TEST(Expand, DoubledBracesStandForThemselves) {
    EXPECT_EQ(expand("'[0-9]{{2}}' {x}", mark), "'[0-9]{2}' <x>");
}

TEST(Expand, RefusesUnpairedNestedAndEmptyPlaceholders) {
    EXPECT_THROW(expand("{x", mark), std::invalid_argument);
    EXPECT_THROW(expand("x}", mark), std::invalid_argument);
    EXPECT_THROW(expand("{ }", mark), std::invalid_argument);
    EXPECT_THROW(expand("{a {b} c}", mark), std::invalid_argument);
}

TEST(Sections, StandWhereKeysAre) {
    const std::string text = "a {when keys}b {x}{end} c";
    EXPECT_EQ(choose_sections(text, true), "a b {x} c");
    EXPECT_EQ(choose_sections(text, false), "a  c");
    EXPECT_EQ(choose_sections("{ when keys }1{ end }2{when keys}3{end}", true), "123");
    EXPECT_EQ(choose_sections("{ when keys }1{ end }2{when keys}3{end}", false), "2");
    EXPECT_EQ(choose_sections("'{{when keys}}' {y}", false), "'{{when keys}}' {y}");
    EXPECT_EQ(choose_sections("", true), "");
}

TEST(Sections, RefuseAMarkWithoutItsPartner) {
    for (const bool keys : {true, false}) {
        EXPECT_THROW((void)choose_sections("{when keys} a", keys), std::invalid_argument);
        EXPECT_THROW((void)choose_sections("a {end}", keys), std::invalid_argument);
        EXPECT_THROW((void)choose_sections("{when keys}{when keys}{end}{end}", keys), std::invalid_argument);
        EXPECT_THROW((void)choose_sections("{when keys", keys), std::invalid_argument);
    }
}

TEST(Expressions, AreSplitAtTheirOwnCommasOnly) {
    using List = std::vector<std::string>;
    EXPECT_EQ(split_expressions("a.\"x\""), (List{"a.\"x\""}));
    EXPECT_EQ(split_expressions(" a , b "), (List{"a", "b"}));
    EXPECT_EQ(split_expressions("f(a, b), ARRAY[1, 2], ',', \",\""), (List{"f(a, b)", "ARRAY[1, 2]", "','", "\",\""}));
}

TEST(ArrayLiteral, QuotesEachElement) {
    EXPECT_EQ(array_literal({}), "{}");
    EXPECT_EQ(array_literal({"id", "studentId"}), "{\"id\",\"studentId\"}");
    EXPECT_EQ(array_literal({"a\"b\\c,{}"}), "{\"a\\\"b\\\\c,{}\"}");
}

TEST(TableReference, NamesATableAndItsColumns) {
    const auto reference = parse_table_reference("students: id, firstName ,\n grade");
    EXPECT_EQ(reference.table, "students");
    EXPECT_EQ(reference.columns, (std::vector<std::string>{"id", "firstName", "grade"}));
}

TEST(TableReference, TakesNamesAsTheyAreWritten) {
    EXPECT_EQ(parse_table_reference("Fees: id, \"amount due\", \"a \"\"b\"\", c\"").columns,
              (std::vector<std::string>{"id", "amount due", "a \"b\", c"}));
    EXPECT_EQ(parse_table_reference("Fees: id").table, "Fees");
    EXPECT_THROW(parse_table_reference("Fees: \"id\", id"), std::invalid_argument);
    EXPECT_THROW(parse_table_reference("Fees: \"id\" x"), std::invalid_argument);
    EXPECT_THROW(parse_table_reference("Fees: \"\""), std::invalid_argument);
}

TEST(TableReference, RefusesWhatIsNone) {
    EXPECT_FALSE(is_table_reference("today"));
    EXPECT_FALSE(is_table_reference("only a.\"x\"::text"));
    EXPECT_THROW(parse_table_reference("today"), std::invalid_argument);
    EXPECT_THROW(parse_table_reference("students: id, id"), std::invalid_argument);
    EXPECT_THROW(parse_table_reference("students:"), std::invalid_argument);
    EXPECT_THROW(parse_table_reference("students: id; DROP"), std::invalid_argument);
}

TEST(ColumnReference, KnowsEveryForm) {
    using Form = ColumnReference::Form;
    EXPECT_EQ(parse_column_reference("grade").form, Form::plain);
    EXPECT_EQ(parse_column_reference("recordDate date").form, Form::date);
    EXPECT_FALSE(parse_column_reference("recordDate date").null_when_absent);
    EXPECT_TRUE(parse_column_reference("createdAt date?").null_when_absent);
    EXPECT_EQ(parse_column_reference("createdAt date?").column, "createdAt");

    const auto lost = parse_column_reference("deletedAt IS NULL or true");
    EXPECT_EQ(lost.form, Form::is_null);
    EXPECT_TRUE(lost.true_when_absent);
    EXPECT_EQ(lost.column, "deletedAt");

    const auto values = parse_column_reference("status IN 'DRAFT', 'A,B'");
    EXPECT_EQ(values.form, Form::in_values);
    EXPECT_EQ(values.values, (std::vector<std::string>{"DRAFT", "A,B"}));

    const auto list = parse_column_reference("grade IN @grades");
    EXPECT_EQ(list.form, Form::in_list);
    EXPECT_EQ(list.list, "grades");
}

TEST(ColumnReference, RefusesWhatIsNone) {
    EXPECT_THROW(parse_column_reference("a b"), std::invalid_argument);
    EXPECT_THROW(parse_column_reference("status IN DRAFT"), std::invalid_argument);
    EXPECT_THROW(parse_column_reference("status IN 'a' OR 'b'"), std::invalid_argument);
    EXPECT_THROW(parse_column_reference("status IN @a b"), std::invalid_argument);
}

TEST(KeyReference, KnowsDescending) {
    EXPECT_TRUE(parse_key_reference("scheduledAt desc").descending);
    EXPECT_EQ(parse_key_reference("scheduledAt desc").column, "scheduledAt");
    EXPECT_FALSE(parse_key_reference("status").descending);
    EXPECT_THROW(parse_key_reference("a, b"), std::invalid_argument);
}

TEST(Mapping, TellsColumnsFromExpressions) {
    using Form = MappingReference::Form;
    EXPECT_EQ(parse_mapping("active").form, Form::column);
    EXPECT_EQ(parse_mapping("Active").column, "active"); // unquoted names fold, as in SQL
    EXPECT_EQ(parse_mapping(" \"isActive\" ").column, "isActive");
    EXPECT_EQ(parse_mapping("\"say \"\"hi\"\"\"").column, "say \"hi\"");
    const auto lookup = parse_mapping("student.\"schoolId\"");
    EXPECT_EQ(lookup.form, Form::qualified);
    EXPECT_EQ(lookup.qualifier, "student");
    EXPECT_EQ(lookup.column, "schoolId");
    EXPECT_EQ(parse_mapping("coalesce(a, b)").form, Form::expression);
    EXPECT_EQ(parse_mapping("a.b.c").form, Form::expression);
    EXPECT_EQ(parse_mapping("\"unclosed").form, Form::expression);
    EXPECT_EQ(parse_mapping("a::date").form, Form::expression);
}

} // namespace

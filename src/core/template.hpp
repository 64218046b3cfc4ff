// The template language of managed objects: SQL text in which braces name canonical tables and columns.
// Pure text: what a placeholder becomes is the caller's business.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace wc::core {

// Replaces each {placeholder} by replace(its body, trimmed). "{{" and "}}" stand for the braces themselves.
// Throws std::invalid_argument for a brace without its partner, or an empty placeholder.
std::string expand(std::string_view text, const std::function<std::string(std::string_view)> &replace);

// Text between {when keys} and {end} stands in a query that is restricted to keys, and in no other: keeps it there,
// without the marks, and takes it away elsewhere. Throws std::invalid_argument for a mark without its partner.
std::string choose_sections(std::string_view text, bool keys);

// {table: column, column, ...}: a table with exactly those canonical columns. Names are taken as they are written; a
// column's may stand in double quotes.
struct TableReference {
    std::string table;
    std::vector<std::string> columns;
};

// True where a placeholder's body has the form of a table reference.
bool is_table_reference(std::string_view body);

// Throws std::invalid_argument where the body is not one, or names a column twice.
TableReference parse_table_reference(std::string_view body);

// A canonical column in a CHECK expression or an index predicate:
//   {x}  {x date}  {x date?}  {x IS NULL}  {x IN 'a', 'b'}  {x IN @list}, each but the third optionally with " or
//   true".
struct ColumnReference {
    enum class Form { plain, date, is_null, in_values, in_list };
    std::string column;
    Form form = Form::plain;
    bool null_when_absent = false;   // "?": NULL::date where the site has no such column
    bool true_when_absent = false;   // "or true": the term is lost there
    std::vector<std::string> values; // in_values: the texts
    std::string list;                // in_list: the name of a configured list
};

// Throws std::invalid_argument where the body is none of those forms.
ColumnReference parse_column_reference(std::string_view body);

// An index key: a canonical column, and whether it is descending ("scheduledAt desc").
struct KeyReference {
    std::string column;
    bool descending = false;
};
KeyReference parse_key_reference(std::string_view body);

// An expression of a column mapping, where it has one of the simple forms:
//   name or "Name" (a column), lookup.name or lookup."Name" (a column of a lookup). Anything else is an expression.
struct MappingReference {
    enum class Form { column, qualified, expression };
    Form form = Form::expression;
    std::string qualifier;
    std::string column;
};
MappingReference parse_mapping(std::string_view expression);

// Splits at commas outside single quotes; trims each part.
std::vector<std::string> split_list(std::string_view text);

// Splits at commas outside quotes and brackets; trims each part.
std::vector<std::string> split_expressions(std::string_view text);

// Elements of an SQL array as its text form, each in double quotes.
std::string array_literal(const std::vector<std::string> &elements);

std::string_view trim(std::string_view text);

} // namespace wc::core

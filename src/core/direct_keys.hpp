// Which columns of which tables are the key of a view itself, by the marks in its definition.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

namespace wc::core {

// The tables that the placeholders of a text name ({table: columns}, not {changed: columns}).
// Throws std::invalid_argument for a text that is not of the template language.
std::set<std::string> table_names(std::string_view text);

// Whether the text has a place where a query restricted to keys differs: {only ...} or {when keys}.
bool has_key_marks(std::string_view text);

// The keys templates (see wc_view_source) that follow from a definition's marks, by table: where each reference to a
// table is restricted by {only alias."column"} (as many columns as the key has), a changed row of it concerns the keys
// that it bears in those columns, and no others.
//
// A mark counts where it is sure to restrict the rows of its reference: in the WHERE of the same SELECT, with no OR and
// no open CASE beside it. What can't be told so is left out; a change to such a table then concerns the whole view.
std::map<std::string, std::string> direct_sources(std::string_view definition, size_t key_columns);

} // namespace wc::core

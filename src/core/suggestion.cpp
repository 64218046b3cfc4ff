// Advice by command.
#include "core/suggestion.hpp"

namespace wc::core {

std::string suggestion(std::string_view command, std::string_view text) {
    if (command == "INSERT")
        return "Write many rows with one INSERT: VALUES with a list of rows, or SELECT ... FROM unnest($1, $2) "
               "(in an ORM: a bulk create).";
    if (command == "UPDATE")
        return "Change many rows with one UPDATE ... FROM (VALUES ...), or FROM unnest($1, $2), joined by the key.";
    if (command == "DELETE")
        return "Delete many rows with one DELETE ... WHERE key = ANY ($1).";
    if (command == "MERGE")
        return "Merge many rows with one MERGE ... USING (VALUES ...), or USING unnest($1, $2).";
    if (!text.empty() && text.find('$') == std::string_view::npos)
        return "It has neither a parameter nor a constant: read it once and keep the answer.";
    return "Read the rows of all of them with one statement: WHERE key = ANY ($1), or a join with the query whose rows "
           "the loop goes through (in an ORM: eager loading, include).";
}

} // namespace wc::core

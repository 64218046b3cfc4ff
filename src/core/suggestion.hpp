// What to do about a statement that an application repeats in a loop.
#pragma once

#include <string>
#include <string_view>

namespace wc::core {

// Advice in one or two sentences, by the command tag (SELECT, INSERT, ...) and the normalised text of the statement;
// an empty text is not known.
std::string suggestion(std::string_view command, std::string_view text);

} // namespace wc::core

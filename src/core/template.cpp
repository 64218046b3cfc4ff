// The template language of managed objects.
#include "core/template.hpp"

#include <algorithm>
#include <cctype>
#include <stdexcept>

namespace wc::core {

namespace {

bool is_space(char c) {
    return std::isspace(static_cast<unsigned char>(c)) != 0;
}

bool is_name_start(char c) {
    return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_';
}

bool is_name_part(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$';
}

bool is_name(std::string_view text) {
    return !text.empty() && is_name_start(text.front()) && std::all_of(text.begin(), text.end(), is_name_part);
}

[[noreturn]] void malformed(std::string_view body) {
    throw std::invalid_argument("malformed placeholder {" + std::string(body) + "}");
}

// Takes a suffix off the end of text, with the blanks before it; false where it isn't there.
bool take_suffix(std::string_view &text, std::string_view suffix) {
    if (text.size() <= suffix.size() || !text.ends_with(suffix) || !is_space(text[text.size() - suffix.size() - 1]))
        return false;
    text = trim(text.substr(0, text.size() - suffix.size()));
    return true;
}

// Reads a possibly double-quoted identifier at the start of text and takes it off. Unquoted names fold to lower case.
bool take_identifier(std::string_view &text, std::string &name) {
    name.clear();
    if (text.empty())
        return false;
    if (text.front() != '"') {
        if (!is_name_start(text.front()))
            return false;
        size_t end = 0;
        while (end < text.size() && is_name_part(text[end]))
            name += static_cast<char>(std::tolower(static_cast<unsigned char>(text[end++])));
        text.remove_prefix(end);
        return true;
    }
    for (size_t i = 1; i < text.size(); ++i) {
        if (text[i] != '"') {
            name += text[i];
        } else if (i + 1 < text.size() && text[i + 1] == '"') {
            name += text[++i];
        } else {
            text.remove_prefix(i + 1);
            return !name.empty();
        }
    }
    return false;
}

} // namespace

std::string_view trim(std::string_view text) {
    while (!text.empty() && is_space(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && is_space(text.back()))
        text.remove_suffix(1);
    return text;
}

std::vector<std::string> split_list(std::string_view text) {
    std::vector<std::string> parts;
    size_t start = 0;
    bool quoted = false;
    for (size_t i = 0; i <= text.size(); ++i) {
        if (i < text.size() && text[i] == '\'')
            quoted = !quoted;
        if (i == text.size() || (text[i] == ',' && !quoted)) {
            parts.emplace_back(trim(text.substr(start, i - start)));
            start = i + 1;
        }
    }
    return parts;
}

std::vector<std::string> split_expressions(std::string_view text) {
    std::vector<std::string> parts;
    size_t start = 0;
    int depth = 0;
    char quote = 0;
    for (size_t i = 0; i <= text.size(); ++i) {
        const char c = i < text.size() ? text[i] : ',';
        if (i == text.size() || (c == ',' && quote == 0 && depth == 0)) {
            parts.emplace_back(trim(text.substr(start, i - start)));
            start = i + 1;
        } else if (quote != 0) {
            if (c == quote)
                quote = 0;
        } else if (c == '\'' || c == '"') {
            quote = c;
        } else if (c == '(' || c == '[') {
            ++depth;
        } else if (c == ')' || c == ']') {
            --depth;
        }
    }
    return parts;
}

std::string array_literal(const std::vector<std::string> &elements) {
    std::string out = "{";
    for (const auto &element : elements) {
        out += out.size() > 1 ? ",\"" : "\"";
        for (const char c : element) {
            if (c == '"' || c == '\\')
                out += '\\';
            out += c;
        }
        out += '"';
    }
    return out + "}";
}

std::string expand(std::string_view text, const std::function<std::string(std::string_view)> &replace) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const bool doubled = i + 1 < text.size() && text[i + 1] == c;
        if ((c == '{' || c == '}') && doubled) {
            out += c;
            ++i;
        } else if (c == '}') {
            throw std::invalid_argument("closing brace without an opening one");
        } else if (c == '{') {
            const size_t end = text.find('}', i);
            if (end == std::string_view::npos)
                throw std::invalid_argument("opening brace without a closing one");
            const std::string_view body = trim(text.substr(i + 1, end - i - 1));
            if (body.empty() || body.find('{') != std::string_view::npos)
                malformed(body);
            out += replace(body);
            i = end;
        } else {
            out += c;
        }
    }
    return out;
}

std::string choose_sections(std::string_view text, bool keys) {
    std::string out;
    bool inside = false;
    size_t start = 0;
    const auto take = [&](size_t end) {
        if (!inside || keys)
            out += text.substr(start, end - start);
    };
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '{')
            continue;
        if (i + 1 < text.size() && text[i + 1] == '{') { // a brace itself
            ++i;
            continue;
        }
        const size_t end = text.find('}', i);
        if (end == std::string_view::npos)
            throw std::invalid_argument("opening brace without a closing one");
        const std::string_view body = trim(text.substr(i + 1, end - i - 1));
        if (body == "when keys" || body == "end") {
            if (inside == (body == "when keys"))
                malformed(body);
            take(i);
            start = end + 1;
            inside = !inside;
        }
        i = end;
    }
    if (inside)
        throw std::invalid_argument("{when keys} without {end}");
    take(text.size());
    return out;
}

bool is_table_reference(std::string_view body) {
    const size_t colon = body.find(':');
    return colon != std::string_view::npos && is_name(trim(body.substr(0, colon)));
}

TableReference parse_table_reference(std::string_view body) {
    if (!is_table_reference(body))
        malformed(body);
    const size_t colon = body.find(':');
    TableReference reference;
    reference.table = trim(body.substr(0, colon));
    for (auto &column : split_expressions(body.substr(colon + 1))) {
        if (std::string_view rest = column; column.starts_with('"')) {
            std::string name;
            if (!take_identifier(rest, name) || !rest.empty())
                malformed(body);
            column = name;
        } else if (!is_name(column)) {
            malformed(body);
        }
        if (std::find(reference.columns.begin(), reference.columns.end(), column) != reference.columns.end())
            malformed(body);
        reference.columns.push_back(std::move(column));
    }
    return reference;
}

ColumnReference parse_column_reference(std::string_view body) {
    ColumnReference reference;
    std::string_view rest = trim(body);
    reference.true_when_absent = take_suffix(rest, "or true");
    if (const size_t in = rest.find(" IN "); in != std::string_view::npos) {
        const std::string_view members = trim(rest.substr(in + 4));
        reference.column = trim(rest.substr(0, in));
        if (members.starts_with('@')) {
            reference.form = ColumnReference::Form::in_list;
            reference.list = members.substr(1);
            if (!is_name(reference.list))
                malformed(body);
        } else {
            reference.form = ColumnReference::Form::in_values;
            for (const auto &part : split_list(members)) {
                if (part.size() < 3 || part.front() != '\'' || part.back() != '\'' ||
                    part.find('\'', 1) != part.size() - 1)
                    malformed(body);
                reference.values.push_back(part.substr(1, part.size() - 2));
            }
        }
    } else {
        if (take_suffix(rest, "IS NULL"))
            reference.form = ColumnReference::Form::is_null;
        else if (take_suffix(rest, "date"))
            reference.form = ColumnReference::Form::date;
        else if (take_suffix(rest, "date?")) {
            reference.form = ColumnReference::Form::date;
            reference.null_when_absent = true;
        }
        reference.column = rest;
    }
    if (!is_name(reference.column))
        malformed(body);
    return reference;
}

KeyReference parse_key_reference(std::string_view body) {
    KeyReference key;
    std::string_view rest = trim(body);
    key.descending = take_suffix(rest, "desc");
    key.column = rest;
    if (!is_name(key.column))
        malformed(body);
    return key;
}

MappingReference parse_mapping(std::string_view expression) {
    MappingReference reference;
    std::string_view rest = trim(expression);
    std::string first;
    if (!take_identifier(rest, first))
        return reference;
    if (rest.empty()) {
        reference.form = MappingReference::Form::column;
        reference.column = first;
    } else if (rest.front() == '.') {
        rest.remove_prefix(1);
        std::string second;
        if (take_identifier(rest, second) && rest.empty()) {
            reference.form = MappingReference::Form::qualified;
            reference.qualifier = first;
            reference.column = second;
        }
    }
    return reference;
}

} // namespace wc::core

// Which columns of which tables are the key of a view itself.
#include "core/direct_keys.hpp"

#include "core/template.hpp"

#include <algorithm>
#include <cctype>
#include <utility>
#include <vector>

namespace wc::core {

namespace {

// A SELECT of the text: what stands between brackets, or between UNION, INTERSECT or EXCEPT.
struct Scope {
    size_t parent = 0;
    std::string clause; // the last of its keywords that begins a clause
    bool has_or = false;
    int open_cases = 0;
};

using Columns = std::vector<std::string>;

struct Reference {
    std::string table;
    std::string alias;
    size_t scope = 0;
    std::set<Columns> marks;
};

struct Mark {
    std::string alias;
    Columns columns;
    size_t scope = 0;
};

bool is_space(char c) {
    return std::isspace(static_cast<unsigned char>(c)) != 0;
}

bool is_word(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' || (c & 0x80) != 0;
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
    return out;
}

// Reads the text token by token, as SQL does, with placeholders as tokens of their own.
class Reader {
  public:
    explicit Reader(std::string_view text) : text_(text), scopes_(1), current_(0) { read(); }

    [[nodiscard]] std::vector<Reference> references() const {
        std::vector<Reference> out = references_;
        for (const Mark &mark : marks_)
            for (Reference &reference : out)
                if (reference.alias == mark.alias && reference.scope == mark.scope && !scopes_[mark.scope].has_or)
                    reference.marks.insert(mark.columns);
        return out;
    }

  private:
    [[nodiscard]] bool at(std::string_view what) const { return text_.substr(at_, what.size()) == what; }

    // Past the end of a quoted text that begins here; a quote is doubled within, or with backslash escaped.
    void skip_quoted(char quote, bool backslash) {
        for (++at_; at_ < text_.size(); ++at_) {
            const bool doubled = text_[at_] == quote && at_ + 1 < text_.size() && text_[at_ + 1] == quote;
            if (doubled || (backslash && text_[at_] == '\\'))
                ++at_;
            else if (text_[at_] == quote)
                break;
        }
        at_ = std::min(at_ + 1, text_.size());
    }

    // Past blanks and comments.
    void skip_blanks() {
        for (;;) {
            if (at_ < text_.size() && is_space(text_[at_])) {
                ++at_;
            } else if (at("--")) {
                at_ = std::min(text_.find('\n', at_), text_.size());
            } else if (at("/*")) {
                int depth = 0;
                do {
                    depth += at("/*") ? 1 : at("*/") ? -1 : 0;
                    at_ += at("/*") || at("*/") ? 2 : 1;
                } while (depth > 0 && at_ < text_.size());
            } else {
                return;
            }
        }
    }

    // A dollar-quoted text; false where there is none.
    bool skip_dollar_quoted() {
        size_t end = at_ + 1;
        while (end < text_.size() && is_word(text_[end]) && text_[end] != '$')
            ++end;
        if (end >= text_.size() || text_[end] != '$')
            return false;
        const std::string_view tag = text_.substr(at_, end + 1 - at_);
        const size_t close = text_.find(tag, end + 1);
        at_ = close == std::string_view::npos ? text_.size() : close + tag.size();
        return true;
    }

    // An identifier, folded unless it is in quotes; empty where there is none.
    std::string identifier() {
        std::string name;
        if (at_ < text_.size() && text_[at_] == '"') {
            const size_t start = at_;
            skip_quoted('"', false);
            const std::string_view inner = text_.substr(start + 1, at_ - start - 2);
            for (size_t i = 0; i < inner.size(); ++i) {
                name += inner[i];
                i += inner[i] == '"' ? 1 : 0;
            }
        } else {
            const size_t start = at_;
            while (at_ < text_.size() && is_word(text_[at_]))
                ++at_;
            name = lower(text_.substr(start, at_ - start));
        }
        return name;
    }

    // A word; one in quotes, behind a dot or behind AS is a name whatever it says.
    void word() {
        const bool plain_name = text_[at_] == '"' || (at_ > 0 && text_[at_ - 1] == '.') || previous_ == "as";
        const std::string name = identifier();
        const std::string before = std::exchange(previous_, plain_name ? std::string() : name);
        if (plain_name)
            return;
        if (name == "e" && at("'")) {
            skip_quoted('\'', true);
            return;
        }
        if (name == "from" && before == "distinct") // IS DISTINCT FROM
            return;
        Scope &scope = scopes_[current_];
        if (name == "or")
            scope.has_or = true;
        else if (name == "case")
            ++scope.open_cases;
        else if (name == "end")
            --scope.open_cases;
        else if (name == "union" || name == "intersect" || name == "except")
            open(scope.parent);
        else if (name == "select" || name == "from" || name == "where" || name == "on" || name == "group" ||
                 name == "having" || name == "window" || name == "order" || name == "limit" || name == "offset" ||
                 name == "fetch" || name == "using")
            scope.clause = name;
    }

    void open(size_t parent) {
        scopes_.push_back({parent, {}, false, 0});
        current_ = scopes_.size() - 1;
    }

    void placeholder() {
        const size_t end = std::min(text_.find('}', at_), text_.size());
        const std::string_view body = trim(text_.substr(at_ + 1, end - at_ - 1));
        at_ = std::min(end + 1, text_.size());
        if (body.starts_with("only ")) {
            mark(body.substr(5));
            return;
        }
        if (!is_table_reference(body))
            return;
        Reference reference;
        reference.table = parse_table_reference(body).table;
        reference.scope = current_;
        skip_blanks();
        const size_t start = at_;
        reference.alias = identifier();
        if (reference.alias == "as" && text_[start] != '"') {
            skip_blanks();
            reference.alias = identifier();
        }
        references_.push_back(std::move(reference));
    }

    void mark(std::string_view body) {
        Mark mark;
        mark.scope = current_;
        const Scope &scope = scopes_[current_];
        if (scope.clause != "where" || scope.open_cases != 0)
            return;
        for (const auto &expression : split_expressions(body)) {
            const MappingReference column = parse_mapping(expression);
            if (column.form != MappingReference::Form::qualified ||
                (!mark.alias.empty() && column.qualifier != mark.alias))
                return;
            mark.alias = column.qualifier;
            mark.columns.push_back(column.column);
        }
        marks_.push_back(std::move(mark));
    }

    void read() {
        for (skip_blanks(); at_ < text_.size(); skip_blanks()) {
            const char c = text_[at_];
            if (c == '"' || (is_word(c) && c != '$')) {
                word();
                continue;
            }
            previous_.clear();
            if (c == '\'') {
                skip_quoted('\'', false);
            } else if (c == '$' && skip_dollar_quoted()) {
                continue;
            } else if (at("{{") || at("}}")) {
                at_ += 2;
            } else if (c == '{') {
                placeholder();
            } else {
                if (c == '(')
                    open(current_);
                else if (c == ')')
                    current_ = closed();
                ++at_;
            }
        }
    }

    // The scope around the brackets that close here. A UNION's parts have the same parent as what stands before it.
    [[nodiscard]] size_t closed() const { return scopes_[current_].parent; }

    std::string_view text_;
    size_t at_ = 0;
    std::vector<Scope> scopes_;
    size_t current_;
    std::vector<Reference> references_;
    std::vector<Mark> marks_;
    std::string previous_; // the word before
};

bool is_plain(const std::string &name) {
    return !name.empty() && std::isdigit(static_cast<unsigned char>(name.front())) == 0 &&
           std::all_of(name.begin(), name.end(), [](char c) { return is_word(c) && (c & 0x80) == 0; });
}

std::string quoted(const std::string &name) {
    std::string out = "\"";
    for (const char c : name) {
        out += c;
        if (c == '"')
            out += c;
    }
    return out + "\"";
}

std::string keys_of(const Columns &columns) {
    std::string select;
    std::string changed;
    for (auto column = columns.begin(); column != columns.end(); ++column) {
        select += (select.empty() ? "" : ", ") + std::string("c.") + quoted(*column);
        if (std::find(columns.begin(), column, *column) == column)
            changed += (changed.empty() ? "" : ", ") + (is_plain(*column) ? *column : quoted(*column));
    }
    return "SELECT " + select + " FROM {changed: " + changed + "} AS c";
}

// How often a text names each table.
std::map<std::string, int> table_counts(std::string_view text) {
    std::map<std::string, int> counts;
    (void)expand(text, [&](std::string_view body) {
        if (is_table_reference(body))
            if (const auto reference = parse_table_reference(body); reference.table != "changed")
                ++counts[reference.table];
        return std::string();
    });
    return counts;
}

} // namespace

std::set<std::string> table_names(std::string_view text) {
    std::set<std::string> names;
    for (const auto &[table, count] : table_counts(text))
        names.insert(table);
    return names;
}

bool has_key_marks(std::string_view text) {
    bool found = false;
    (void)expand(text, [&](std::string_view body) {
        found = found || body.starts_with("only ") || body == "when keys";
        return std::string();
    });
    return found;
}

std::map<std::string, std::string> direct_sources(std::string_view definition, size_t key_columns) {
    const std::string restricted = choose_sections(definition, true);
    std::map<std::string, std::set<Columns>> marks;
    std::map<std::string, int> marked; // how many of the references to a table are
    for (const Reference &reference : Reader(restricted).references()) {
        bool usable = false;
        for (const Columns &columns : reference.marks)
            if (columns.size() == key_columns) {
                marks[reference.table].insert(columns);
                usable = true;
            }
        marked[reference.table] += usable ? 1 : 0;
    }
    std::map<std::string, std::string> sources;
    for (const auto &[table, count] : table_counts(restricted)) // what stands in a comment or a text counts too
        if (marked[table] == count)
            for (const Columns &columns : marks[table])
                sources[table] += (sources[table].empty() ? "" : " UNION ALL ") + keys_of(columns);
    return sources;
}

} // namespace wc::core

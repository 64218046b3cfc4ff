// How what is observed is shown in SQL.
#include "observe/shown.hpp"

#include "observe/encoding.hpp"

extern "C" {
#include "commands/dbcommands.h"
}

namespace wc::observe::shown {

namespace {

// A name that the server has looked up; null: there is none any more.
template <typename Lookup> pg::Text looked_up(Lookup lookup) {
    const char *const name = pg::call(lookup);
    if (name == nullptr)
        return {};
    return std::string(name);
}

} // namespace

pg::Text moment(TimestampTz at) {
    if (at == 0)
        return {};
    return looked_up([=] { return timestamptz_to_str(at); });
}

pg::Text milliseconds(int64 duration) {
    char digits[64];
    snprintf(digits, sizeof digits, "%.6f", static_cast<double>(duration) / 1e6);
    return std::string(digits);
}

pg::Text number(int64 value) {
    return std::to_string(value);
}

pg::Text query_id(uint64 id) {
    if (id == 0)
        return {};
    return std::to_string(static_cast<int64>(id));
}

pg::Text database(Oid oid) {
    return looked_up([=] { return get_database_name(oid); });
}

pg::Text role(Oid oid) {
    return looked_up([=] { return GetUserNameFromId(oid, true); });
}

pg::Text relation(Oid oid) {
    return looked_up([=]() -> const char * {
        const char *const name = get_rel_name(oid);
        const char *const schema = name != nullptr ? get_namespace_name_or_temp(get_rel_namespace(oid)) : nullptr;
        return schema != nullptr ? quote_qualified_identifier(schema, name) : nullptr;
    });
}

pg::Text type(Oid oid) {
    return looked_up([=] { return format_type_extended(oid, -1, FORMAT_TYPE_INVALID_AS_NULL); });
}

std::string array(const std::vector<pg::Text> &elements) {
    std::string out = "{";
    for (const pg::Text &element : elements) {
        if (out.size() > 1)
            out += ',';
        if (!element) {
            out += "NULL";
            continue;
        }
        out += '"';
        for (const char c : *element) {
            if (c == '"' || c == '\\')
                out += '\\';
            out += c;
        }
        out += '"';
    }
    return out + "}";
}

std::string text(const std::string &normalised, int encoding, CommandTag tag) {
    return normalised.empty() ? GetCommandTagName(tag) : in_database_encoding(normalised, encoding);
}

} // namespace wc::observe::shown

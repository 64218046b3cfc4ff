// Texts that were taken down in one database and are shown in another.
#include "observe/encoding.hpp"

#include <algorithm>

extern "C" {
#include "mb/pg_wchar.h"
}

namespace wc::observe {

namespace {

bool is_ascii(char c) {
    return (static_cast<unsigned char>(c) & 0x80) == 0;
}

} // namespace

std::string in_database_encoding(std::string_view text, int encoding) {
    std::string out(text);
    if (std::all_of(out.begin(), out.end(), is_ascii))
        return out;
    try {
        unsigned char *const bytes = reinterpret_cast<unsigned char *>(out.data());
        const int size = static_cast<int>(out.size());
        const char *const converted = pg::call([=] {
            (void)pg_verify_mbstr(encoding, reinterpret_cast<char *>(bytes), size, false);
            return reinterpret_cast<char *>(pg_do_encoding_conversion(bytes, size, encoding, GetDatabaseEncoding()));
        });
        if (converted != out.data())
            out = converted;
    } catch (const pg::Error &error) {
        if (error.ends_statement())
            throw;
        std::replace_if(
            out.begin(), out.end(), [](char c) { return !is_ascii(c); }, '?');
    }
    return out;
}

} // namespace wc::observe

// The files of the query history, to bytes and back.
#include "core/history_file.hpp"

#include "core/checksum.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstring>
#include <type_traits>

namespace wc::core::history {

namespace {

constexpr std::uint32_t magic_of_totals = 0x77635148; // "wcQH"
constexpr std::uint32_t magic_of_texts = 0x77635154;  // "wcQT"
constexpr std::uint32_t version = 1;
constexpr std::int64_t hours_a_day = 24;

struct Header {
    std::uint32_t magic;
    std::uint32_t version;
    std::int64_t hour;
    std::uint64_t run;
    std::uint64_t count; // of patterns, or texts
};

class Writer {
  public:
    template <typename T> void put(const T &value) {
        static_assert(std::has_unique_object_representations_v<T>, "no padding, whose bytes would be anything");
        bytes_.append(reinterpret_cast<const char *>(&value), sizeof(value));
    }
    void put_text(const std::string &text) {
        put(static_cast<std::uint64_t>(text.size()));
        bytes_ += text;
    }
    std::string done() {
        put(checksum(bytes_));
        return std::move(bytes_);
    }

  private:
    std::string bytes_;
};

// Takes values from the front; false where there is no such many.
class Reader {
  public:
    explicit Reader(std::string_view bytes) : rest_(bytes) {}
    template <typename T> bool take(T &value) {
        if (rest_.size() < sizeof(value))
            return false;
        std::memcpy(&value, rest_.data(), sizeof(value));
        rest_.remove_prefix(sizeof(value));
        return true;
    }
    bool take_text(std::string &text) {
        std::uint64_t size = 0;
        if (!take(size) || rest_.size() < size)
            return false;
        text.assign(rest_.substr(0, size));
        rest_.remove_prefix(size);
        return true;
    }
    [[nodiscard]] std::size_t left() const { return rest_.size(); }

  private:
    std::string_view rest_;
};

// Looks at the header and at the checksum, and takes both away.
Fault open(std::string_view &bytes, std::uint32_t magic, std::int64_t hour, std::uint64_t run, std::uint64_t &count) {
    Header header = {};
    std::uint32_t sum = 0;
    std::uint32_t found = 0;
    if (Reader(bytes).take(found) && found != magic)
        return Fault::Foreign;
    if (bytes.size() < sizeof(header) + sizeof(sum))
        return Fault::Damaged;
    std::memcpy(&header, bytes.data(), sizeof(header));
    if (header.version != version)
        return Fault::Version;
    std::memcpy(&sum, bytes.data() + bytes.size() - sizeof(sum), sizeof(sum));
    bytes.remove_suffix(sizeof(sum));
    if (checksum(bytes) != sum)
        return Fault::Damaged;
    if (header.hour != hour || header.run != run)
        return Fault::Misplaced;
    bytes.remove_prefix(sizeof(header));
    count = header.count;
    return Fault::None;
}

constexpr std::chrono::sys_days first_day = std::chrono::year{2000} / std::chrono::January / 1;
// By kind.
constexpr std::array<std::string_view, 3> suffixes = {".totals", ".texts", ".connections"};

std::string_view suffix(Kind kind) {
    return suffixes.at(static_cast<std::size_t>(kind));
}

template <typename T> bool number(std::string_view digits, int base, T &value) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    return error == std::errc() && end == digits.data() + digits.size();
}

// A number with zeros before it.
template <typename T> std::string padded(T value, int base, std::size_t width) {
    std::array<char, 24> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, base).ptr;
    const auto size = static_cast<std::size_t>(end - digits.data());
    return std::string(width - std::min(width, size), '0') + std::string(digits.data(), size);
}

} // namespace

void Totals::add(const Totals &more) {
    calls += more.calls;
    rows += more.rows;
    total_ns += more.total_ns;
    max_ns = std::max(max_ns, more.max_ns);
}

std::string encode(const Hour &hour) {
    Writer out;
    out.put(Header{magic_of_totals, version, hour.hour, hour.run, hour.patterns.size()});
    out.put(hour.other);
    for (const Pattern &pattern : hour.patterns)
        out.put(pattern);
    return out.done();
}

std::string encode(const Texts &texts) {
    Writer out;
    out.put(Header{magic_of_texts, version, texts.hour, texts.run, texts.texts.size()});
    for (const auto &[query_id, text] : texts.texts) {
        out.put(query_id);
        out.put(text.encoding);
        out.put_text(text.bytes);
    }
    return out.done();
}

Fault decode(std::string_view bytes, std::int64_t hour, std::uint64_t run, Hour &into) {
    std::uint64_t count = 0;
    if (const Fault fault = open(bytes, magic_of_totals, hour, run, count); fault != Fault::None)
        return fault;
    Hour read{hour, run, {}, {}};
    Reader in(bytes);
    if (!in.take(read.other) || in.left() % sizeof(Pattern) != 0 || in.left() / sizeof(Pattern) != count)
        return Fault::Damaged;
    read.patterns.resize(count);
    for (Pattern &pattern : read.patterns)
        if (!in.take(pattern))
            return Fault::Damaged;
    into = std::move(read);
    return Fault::None;
}

Fault decode(std::string_view bytes, std::int64_t hour, std::uint64_t run, Texts &into) {
    std::uint64_t count = 0;
    if (const Fault fault = open(bytes, magic_of_texts, hour, run, count); fault != Fault::None)
        return fault;
    Texts read{hour, run, {}};
    Reader in(bytes);
    for (std::uint64_t i = 0; i < count; ++i) {
        std::uint64_t query_id = 0;
        Text text;
        if (!in.take(query_id) || !in.take(text.encoding) || !in.take_text(text.bytes))
            return Fault::Damaged;
        read.texts.emplace(query_id, std::move(text));
    }
    if (in.left() != 0)
        return Fault::Damaged;
    into = std::move(read);
    return Fault::None;
}

std::string_view describe(Fault fault) {
    switch (fault) {
    case Fault::None:
        return "is whole";
    case Fault::Foreign:
        return "is not a file of whitecross";
    case Fault::Version:
        return "is of another version of whitecross";
    case Fault::Damaged:
        return "is damaged";
    case Fault::Misplaced:
        return "is of another hour than its name says";
    }
    return "";
}

std::int64_t day_of(std::int64_t hour) {
    return hour / hours_a_day;
}

std::int64_t last_hour_of_day(std::int64_t hour) {
    return day_of(hour) * hours_a_day + hours_a_day - 1;
}

std::string file_name(const FileName &name) {
    const std::chrono::year_month_day date{first_day + std::chrono::days{day_of(name.hour)}};
    return padded(static_cast<int>(date.year()), 10, 4) + padded(static_cast<unsigned>(date.month()), 10, 2) +
           padded(static_cast<unsigned>(date.day()), 10, 2) + "T" + padded(name.hour % hours_a_day, 10, 2) + "-" +
           padded(name.run, 16, 16) + std::string(suffix(name.kind));
}

std::optional<FileName> parse_name(std::string_view name) {
    constexpr std::size_t stem = 28; // yyyymmddThh-rrrrrrrrrrrrrrrr
    if (name.size() < stem)
        return {};
    int year = 0;
    unsigned month = 0;
    unsigned day = 0;
    std::int64_t hour = 0;
    FileName found;
    if (!number(name.substr(0, 4), 10, year) || !number(name.substr(4, 2), 10, month) ||
        !number(name.substr(6, 2), 10, day) || !number(name.substr(9, 2), 10, hour) ||
        !number(name.substr(12, 16), 16, found.run))
        return {};
    const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{month}, std::chrono::day{day}};
    if (!date.ok())
        return {};
    found.hour = (std::chrono::sys_days{date} - first_day).count() * hours_a_day + hour;
    for (const Kind kind : {Kind::Texts, Kind::Connections})
        if (name.ends_with(suffix(kind)))
            found.kind = kind;
    if (file_name(found) != name) // what else may stand between, and hours past 23
        return {};
    return found;
}

} // namespace wc::core::history

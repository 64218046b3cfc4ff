// The files of samples of connections.
#include "core/connection_file.hpp"

#include "core/checksum.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

namespace wc::core::connections {

namespace {

constexpr std::uint32_t magic = 0x7763434e; // "wcCN"
constexpr std::uint32_t version = 1;
constexpr std::int64_t last_moment = std::int64_t{1} << 60; // microseconds: no clock shows it

enum class Tag : unsigned char {
    Forget = 1, // what was before
    Limits,     // of the server
    Database,   // a new one, or another name or limit
    Role,
    Sample, // the groups whose counts differ from before; those that are gone, with a total of 0
};

// Whole numbers in as few bytes as they need: seven bits a byte, the lowest first.
class Writer {
  public:
    void put(Tag tag) { bytes_ += static_cast<char>(tag); }
    void put(std::uint64_t number) {
        for (; number >= 0x80; number >>= 7)
            bytes_ += static_cast<char>(0x80 | (number & 0x7F));
        bytes_ += static_cast<char>(number);
    }
    // Small ones of either sign are short.
    void put_signed(std::int64_t number) {
        put((static_cast<std::uint64_t>(number) << 1) ^ static_cast<std::uint64_t>(number >> 63));
    }
    void put_text(const std::string &text) {
        put(text.size());
        bytes_ += text;
    }
    std::string done() { return std::move(bytes_); }

  private:
    std::string bytes_;
};

// Takes values from the front. Where there is none, fails() from then on, and what it gives is 0.
class Reader {
  public:
    explicit Reader(std::string_view bytes) : rest_(bytes) {}

    [[nodiscard]] bool at_end() const { return rest_.empty(); }
    [[nodiscard]] bool fails() const { return failed_; }

    unsigned char byte() {
        if (rest_.empty()) {
            failed_ = true;
            return 0;
        }
        const auto first = static_cast<unsigned char>(rest_.front());
        rest_.remove_prefix(1);
        return first;
    }
    std::uint64_t number() {
        std::uint64_t value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            const unsigned char next = byte();
            value |= static_cast<std::uint64_t>(next & 0x7F) << shift;
            if ((next & 0x80) == 0)
                return value;
        }
        failed_ = true;
        return 0;
    }
    // One that fits into a smaller type.
    template <typename T> T number_of() {
        const std::uint64_t value = number();
        if (value > static_cast<std::uint64_t>(std::numeric_limits<T>::max())) {
            failed_ = true;
            return 0;
        }
        return static_cast<T>(value);
    }
    // A moment or an age: sums of a few don't overflow.
    std::int64_t time() {
        const std::int64_t value = signed_number();
        failed_ = failed_ || value > last_moment || value < -last_moment;
        return failed_ ? 0 : value;
    }
    std::int64_t signed_number() {
        const std::uint64_t value = number();
        return static_cast<std::int64_t>((value >> 1) ^ (~(value & 1) + 1));
    }
    std::int32_t limit() {
        const std::int64_t value = signed_number();
        if (value < std::numeric_limits<std::int32_t>::min() || value > std::numeric_limits<std::int32_t>::max())
            failed_ = true;
        return static_cast<std::int32_t>(value);
    }
    std::string text() {
        const std::uint64_t size = number();
        if (size > rest_.size()) {
            failed_ = true;
            return {};
        }
        std::string taken(rest_.substr(0, size));
        rest_.remove_prefix(size);
        return taken;
    }

  private:
    std::string_view rest_;
    bool failed_ = false;
};

void put(Writer &out, const Sample::Group &group, const Counts &counts, std::int64_t at) {
    out.put(group.first);
    out.put(group.second);
    out.put(counts.total);
    if (counts.total == 0)
        return;
    out.put(counts.active);
    out.put(counts.idle);
    out.put(counts.idle_in_transaction);
    out.put(counts.waiting);
    // The age is a smaller number than the moment. One from a clock that was set back since is kept as of now.
    out.put_signed(counts.oldest == 0 ? -1 : std::max<std::int64_t>(at - counts.oldest, 0));
}

void take_group(Reader &in, Sample &sample) {
    const auto database = in.number_of<std::uint32_t>();
    const auto role = in.number_of<std::uint32_t>();
    Counts counts;
    counts.total = in.number_of<std::uint32_t>();
    if (counts.total == 0) {
        sample.groups.erase({database, role});
        return;
    }
    counts.active = in.number_of<std::uint32_t>();
    counts.idle = in.number_of<std::uint32_t>();
    counts.idle_in_transaction = in.number_of<std::uint32_t>();
    counts.waiting = in.number_of<std::uint32_t>();
    const std::int64_t age = in.time();
    counts.oldest = age < 0 ? 0 : sample.at - age;
    sample.groups[{database, role}] = counts;
}

struct Header {
    std::uint32_t magic;
    std::uint32_t version;
    std::int64_t hour;
    std::uint64_t run;
    std::uint64_t size; // of the records
};

} // namespace

std::string Encoder::encode(const Sample &sample) {
    Writer out;
    if (is_new_)
        out.put(Tag::Forget);
    if (is_new_ || sample.limits != before_.limits) {
        out.put(Tag::Limits);
        out.put_signed(sample.limits.ordinary);
        out.put_signed(sample.limits.superusers);
    }
    for (const auto &[oid, database] : sample.databases) {
        const auto [place, is_new] = before_.databases.try_emplace(oid, database);
        if (!is_new && place->second == database)
            continue;
        place->second = database;
        out.put(Tag::Database);
        out.put(oid);
        out.put_signed(database.limit);
        out.put_text(database.name);
    }
    for (const auto &[oid, role] : sample.roles) {
        const auto [place, is_new] = before_.roles.try_emplace(oid, role);
        if (!is_new && place->second == role)
            continue;
        place->second = role;
        out.put(Tag::Role);
        out.put(oid);
        out.put_signed(role.limit);
        out.put(std::uint64_t{role.superuser});
        out.put_text(role.name);
    }
    std::map<Sample::Group, Counts> changed;
    for (const auto &[group, counts] : sample.groups)
        if (const auto found = before_.groups.find(group); found == before_.groups.end() || found->second != counts)
            changed.emplace(group, counts);
    for (const auto &each : before_.groups)
        if (!sample.groups.contains(each.first))
            changed.emplace(each.first, Counts());
    out.put(Tag::Sample);
    out.put_signed(sample.at - before_.at);
    out.put(changed.size());
    for (const auto &[group, counts] : changed)
        put(out, group, counts, sample.at);
    before_.at = sample.at;
    before_.limits = sample.limits;
    before_.groups = sample.groups;
    is_new_ = false;
    return out.done();
}

bool Decoder::decode(std::string_view records, const Take &take) {
    Reader in(records);
    while (!in.at_end()) {
        const auto tag = static_cast<Tag>(in.byte());
        if (!started_ && tag != Tag::Forget)
            return false;
        switch (tag) {
        case Tag::Forget:
            now_ = Sample();
            started_ = true;
            break;
        case Tag::Limits:
            now_.limits.ordinary = in.limit();
            now_.limits.superusers = in.limit();
            break;
        case Tag::Database: {
            Database &database = now_.databases[in.number_of<std::uint32_t>()];
            database.limit = in.limit();
            database.name = in.text();
            break;
        }
        case Tag::Role: {
            Role &role = now_.roles[in.number_of<std::uint32_t>()];
            role.limit = in.limit();
            role.superuser = in.number() != 0;
            role.name = in.text();
            break;
        }
        case Tag::Sample:
            now_.at += in.time();
            if (now_.at > last_moment || now_.at < -last_moment)
                return false;
            for (std::uint64_t left = in.number(); left > 0 && !in.fails(); --left)
                take_group(in, now_);
            if (!in.fails())
                take(now_);
            break;
        default:
            return false;
        }
        if (in.fails())
            return false;
    }
    return true;
}

std::string piece(std::int64_t hour, std::uint64_t run, std::string_view records) {
    const Header header{magic, version, hour, run, records.size()};
    std::string bytes(reinterpret_cast<const char *>(&header), sizeof(header));
    bytes += records;
    const std::uint32_t sum = checksum(bytes);
    bytes.append(reinterpret_cast<const char *>(&sum), sizeof(sum));
    return bytes;
}

Taken take_piece(std::string_view &bytes, std::int64_t hour, std::uint64_t run) {
    using history::Fault;
    Header header = {};
    std::memcpy(&header, bytes.data(), std::min(bytes.size(), sizeof(header)));
    if (bytes.size() >= sizeof(magic) && header.magic != magic)
        return {Front::Fault, Fault::Foreign, {}};
    if (bytes.size() >= sizeof(magic) + sizeof(version) && header.version != version)
        return {Front::Fault, Fault::Version, {}};
    std::uint32_t sum = 0;
    if (bytes.size() < sizeof(header) + sizeof(sum) || header.size > bytes.size() - sizeof(header) - sizeof(sum))
        return {Front::Torn, Fault::Damaged, {}};
    const std::string_view summed = bytes.substr(0, sizeof(header) + header.size);
    std::memcpy(&sum, bytes.data() + summed.size(), sizeof(sum));
    if (checksum(summed) != sum)
        return {Front::Fault, Fault::Damaged, {}};
    if (header.hour != hour || header.run != run)
        return {Front::Fault, Fault::Misplaced, {}};
    bytes.remove_prefix(summed.size() + sizeof(sum));
    return {Front::Piece, Fault::None, summed.substr(sizeof(header))};
}

std::size_t whole(std::string_view bytes, std::int64_t hour, std::uint64_t run) {
    std::string_view rest = bytes;
    while (!rest.empty() && take_piece(rest, hour, run).front == Front::Piece) {
    }
    return bytes.size() - rest.size();
}

} // namespace wc::core::connections

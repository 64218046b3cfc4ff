// What stands in a sealed value of the second tier.
#include "core/tier_value.hpp"

#include <cstring>

namespace wc::core::tier {

namespace {

template <typename T> void put(std::string &value, const T &number) {
    value.append(reinterpret_cast<const char *>(&number), sizeof(number));
}

template <typename T> T take(std::string_view bytes, std::size_t at) {
    T number;
    std::memcpy(&number, bytes.data() + at, sizeof(number));
    return number;
}

} // namespace

std::string begin(const Head &head) {
    std::string value;
    value.reserve(overhead(head.dependencies, head.tables) + head.size);
    put(value, head);
    return value;
}

void put_dependency(std::string &value, const Dependency &dependency) {
    put(value, dependency.generation);
    put(value, dependency.cell);
}

void put_table(std::string &value, std::uint32_t table) {
    put(value, table);
}

Dependency Value::dependency(std::size_t i) const {
    return {take<std::uint64_t>(dependencies, i * dependency_size),
            take<std::uint32_t>(dependencies, i * dependency_size + sizeof(std::uint64_t))};
}

std::uint32_t Value::table(std::size_t i) const {
    return take<std::uint32_t>(tables, i * sizeof(std::uint32_t));
}

std::optional<Value> read(std::string_view bytes) {
    if (bytes.size() < sizeof(Head))
        return std::nullopt;
    Value value;
    value.head = take<Head>(bytes, 0);
    bytes.remove_prefix(sizeof(Head));
    const Head &head = value.head;
    if (head.dependencies > most_dependencies || head.tables > most_dependencies)
        return std::nullopt;
    const std::size_t dependencies = head.dependencies * dependency_size;
    const std::size_t tables = head.tables * sizeof(std::uint32_t);
    if (bytes.size() < dependencies + tables || bytes.size() - dependencies - tables != head.size)
        return std::nullopt;
    value.dependencies = bytes.substr(0, dependencies);
    value.tables = bytes.substr(dependencies, tables);
    value.rows = bytes.substr(dependencies + tables);
    return value;
}

} // namespace wc::core::tier

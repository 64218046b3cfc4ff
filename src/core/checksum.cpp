// CRC-32C, by a table: what is written is a few hundred kilobytes at most, once a minute.
#include "core/checksum.hpp"

#include <array>

namespace wc::core {

namespace {

constexpr std::array<std::uint32_t, 256> make_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < table.size(); ++i) {
        std::uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit)
            value = (value & 1) != 0 ? (value >> 1) ^ 0x82F63B78U : value >> 1;
        table[i] = value;
    }
    return table;
}
constexpr std::array<std::uint32_t, 256> crc_table = make_table();

} // namespace

std::uint32_t checksum(std::string_view bytes) noexcept {
    std::uint32_t crc = ~0U;
    for (const char byte : bytes)
        crc = crc_table[(crc ^ static_cast<unsigned char>(byte)) & 0xFF] ^ (crc >> 8);
    return ~crc;
}

} // namespace wc::core

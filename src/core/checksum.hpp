// CRC-32C, by which what is read of a file is known to be what was written.
#pragma once

#include <cstdint>
#include <string_view>

namespace wc::core {

[[nodiscard]] std::uint32_t checksum(std::string_view bytes) noexcept;

} // namespace wc::core

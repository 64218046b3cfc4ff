// Sealed values: what leaves the server is encrypted and authenticated (AES-256-GCM) under a name, so that it is read
// only where it was sealed, with the same keys, as what it was sealed as. Knows nothing of the server.
//
// A sealed value: version (1 byte), which key (8), nonce (12), tag (16), and as many bytes as were sealed. All of the
// head is authenticated, and so is the name.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace wc::cache::seal {

constexpr size_t key_size = 32;
constexpr size_t overhead = 1 + 8 + 12 + 16;

using Key = std::array<unsigned char, key_size>;

// What is derived of a key and a secret of this start of the server: each start has keys of its own, so that the number
// of values under one stays far below what random nonces allow (2^32), and values of another start are of no use.
struct Derived {
    Key key;
    std::array<unsigned char, 8> id; // tells which key a value needs; tells nothing of the key
};

// HKDF-SHA256. Throws std::runtime_error where the library fails.
Derived derive(const Key &key, std::string_view secret);

// A code of a text under a key: HMAC-SHA256. Throws std::runtime_error where the library fails.
std::array<unsigned char, 32> code(const Key &key, std::string_view text);

// Throws std::runtime_error where the library fails or has no randomness, std::bad_alloc.
std::string close(const Derived &key, std::string_view name, std::string_view plain);

enum class Opened { Yes, UnknownKey, Broken };

// plain: what was sealed, where that is Yes; else empty. Never raises but std::bad_alloc.
Opened open(const std::vector<Derived> &keys, std::string_view name, std::string_view sealed, std::string &plain);

} // namespace wc::cache::seal

// Sealed values, by the system's libcrypto.
#include "cache/seal.hpp"

#include <algorithm>
#include <climits>
#include <cstring>
#include <memory>
#include <stdexcept>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

namespace wc::cache::seal {

namespace {

constexpr char version = 1;
constexpr size_t id_at = 1;
constexpr size_t nonce_at = id_at + 8;
constexpr size_t nonce_size = 12;
constexpr size_t tag_at = nonce_at + nonce_size;
constexpr size_t tag_size = 16;
static_assert(tag_at + tag_size == overhead);

struct Free {
    void operator()(EVP_CIPHER_CTX *context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, Free>;

unsigned char *bytes(std::string &text, size_t at = 0) {
    return reinterpret_cast<unsigned char *>(text.data()) + at;
}

const unsigned char *bytes(std::string_view text, size_t at = 0) {
    return reinterpret_cast<const unsigned char *>(text.data()) + at;
}

// The library keeps a list of what went wrong, for nobody here.
[[noreturn]] void fail(const char *what) {
    ERR_clear_error();
    throw std::runtime_error(what);
}

// What is authenticated besides the value: the head up to its tag, and the name, whose length ends it.
bool add_head(EVP_CIPHER_CTX *context,
              int (*update)(EVP_CIPHER_CTX *, unsigned char *, int *, const unsigned char *, int),
              std::string_view sealed, std::string_view name) {
    int done = 0;
    return update(context, nullptr, &done, bytes(sealed), static_cast<int>(tag_at)) == 1 &&
           update(context, nullptr, &done, bytes(name), static_cast<int>(name.size())) == 1;
}

} // namespace

std::array<unsigned char, 32> code(const Key &key, std::string_view text) {
    std::array<unsigned char, 32> out = {};
    unsigned size = 0;
    if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes(text), text.size(), out.data(), &size) ==
            nullptr ||
        size != out.size())
        fail("the code of a name could not be computed");
    return out;
}

// RFC 5869: extract with the secret as salt, then one block for each output.
Derived derive(const Key &key, std::string_view secret) {
    Key salt = {};
    if (secret.size() != salt.size())
        fail("the secret to derive keys with has another size");
    std::copy(secret.begin(), secret.end(), salt.begin());
    Key extracted = code(salt, {reinterpret_cast<const char *>(key.data()), key.size()});
    Derived derived;
    derived.key = code(extracted, "whitecross cache value\x01");
    const Key id = code(extracted, "whitecross cache key id\x01");
    std::copy_n(id.begin(), derived.id.size(), derived.id.begin());
    OPENSSL_cleanse(extracted.data(), extracted.size());
    OPENSSL_cleanse(salt.data(), salt.size());
    return derived;
}

std::string close(const Derived &key, std::string_view name, std::string_view plain) {
    if (plain.size() > INT_MAX || name.size() > INT_MAX)
        fail("a value is too large to be sealed");
    std::string sealed(overhead + plain.size(), '\0');
    sealed[0] = version;
    memcpy(sealed.data() + id_at, key.id.data(), key.id.size());
    if (RAND_bytes(bytes(sealed, nonce_at), nonce_size) != 1)
        fail("there is no randomness to seal a value with");
    const Context context(EVP_CIPHER_CTX_new());
    if (context == nullptr)
        throw std::bad_alloc();
    int done = 0;
    int rest = 0;
    if (EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key.key.data(), bytes(sealed, nonce_at)) != 1 ||
        !add_head(context.get(), EVP_EncryptUpdate, sealed, name) ||
        EVP_EncryptUpdate(context.get(), bytes(sealed, overhead), &done, bytes(plain),
                          static_cast<int>(plain.size())) != 1 ||
        EVP_EncryptFinal_ex(context.get(), bytes(sealed, overhead) + done, &rest) != 1 ||
        static_cast<size_t>(done) + static_cast<size_t>(rest) != plain.size() ||
        EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, tag_size, bytes(sealed, tag_at)) != 1)
        fail("a value could not be sealed");
    return sealed;
}

Opened open(const std::vector<Derived> &keys, std::string_view name, std::string_view sealed, std::string &plain) {
    plain.clear();
    if (sealed.size() < overhead || sealed.size() > INT_MAX || name.size() > INT_MAX || sealed[0] != version)
        return Opened::Broken;
    const auto key = std::find_if(keys.begin(), keys.end(), [&](const Derived &each) {
        return memcmp(each.id.data(), sealed.data() + id_at, each.id.size()) == 0;
    });
    if (key == keys.end())
        return Opened::UnknownKey;
    const Context context(EVP_CIPHER_CTX_new());
    if (context == nullptr)
        throw std::bad_alloc();
    plain.resize(sealed.size() - overhead);
    std::array<unsigned char, tag_size> tag;
    memcpy(tag.data(), sealed.data() + tag_at, tag.size());
    int done = 0;
    int rest = 0;
    if (EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key->key.data(), bytes(sealed, nonce_at)) == 1 &&
        add_head(context.get(), EVP_DecryptUpdate, sealed, name) &&
        EVP_DecryptUpdate(context.get(), bytes(plain), &done, bytes(sealed, overhead),
                          static_cast<int>(plain.size())) == 1 &&
        EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, tag_size, tag.data()) == 1 &&
        EVP_DecryptFinal_ex(context.get(), bytes(plain) + done, &rest) == 1)
        return Opened::Yes;
    ERR_clear_error();
    OPENSSL_cleanse(plain.data(), plain.size()); // what isn't authenticated is nothing
    plain.clear();
    return Opened::Broken;
}

} // namespace wc::cache::seal

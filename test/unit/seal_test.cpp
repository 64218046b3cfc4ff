// Sealed values of the second tier: what can be opened, and what can't.
#include "cache/seal.hpp"

#include <gtest/gtest.h>

#include <set>
#include <stdexcept>

namespace {

namespace seal = wc::cache::seal;
using seal::Opened;

const std::string secret(32, 's');

seal::Key key_of(unsigned char byte) {
    seal::Key key;
    key.fill(byte);
    return key;
}

seal::Derived derived(unsigned char byte = 1, const std::string &of = secret) {
    return seal::derive(key_of(byte), of);
}

TEST(Seal, OpensWhatItClosed) {
    for (const size_t size : {size_t{0}, size_t{1}, size_t{16}, size_t{1000}, size_t{5000000}}) {
        std::string text(size, '\0');
        for (size_t i = 0; i < size; ++i)
            text[i] = static_cast<char>(i * 31);
        const std::string sealed = seal::close(derived(), "name", text);
        EXPECT_EQ(sealed.size(), size + seal::overhead);
        std::string plain = "before";
        EXPECT_EQ(seal::open({derived()}, "name", sealed, plain), Opened::Yes);
        EXPECT_EQ(plain, text);
    }
}

TEST(Seal, EveryBitCounts) {
    const std::string sealed = seal::close(derived(), "name", "Marker Wert");
    EXPECT_EQ(sealed.find("Marker"), std::string::npos);
    std::string plain;
    for (size_t i = 0; i < sealed.size() * 8; ++i) {
        std::string tampered = sealed;
        tampered[i / 8] = static_cast<char>(tampered[i / 8] ^ (1 << (i % 8)));
        EXPECT_NE(seal::open({derived()}, "name", tampered, plain), Opened::Yes) << i;
        EXPECT_TRUE(plain.empty());
    }
    for (size_t size = 0; size < sealed.size(); ++size)
        EXPECT_EQ(seal::open({derived()}, "name", sealed.substr(0, size), plain), Opened::Broken) << size;
    EXPECT_EQ(seal::open({derived()}, "name", sealed + '\0', plain), Opened::Broken);
}

TEST(Seal, OfAnotherNameIsBroken) {
    const std::string sealed = seal::close(derived(), "name", "text");
    std::string plain;
    for (const char *name : {"", "nam", "named", "other"})
        EXPECT_EQ(seal::open({derived()}, name, sealed, plain), Opened::Broken) << name;
}

TEST(Seal, OfAnotherKeyOrStartIsUnknown) {
    const std::string sealed = seal::close(derived(1), "name", "text");
    std::string plain;
    EXPECT_EQ(seal::open({}, "name", sealed, plain), Opened::UnknownKey);
    EXPECT_EQ(seal::open({derived(2)}, "name", sealed, plain), Opened::UnknownKey);
    EXPECT_EQ(seal::open({derived(1, std::string(32, 't'))}, "name", sealed, plain), Opened::UnknownKey);
    EXPECT_EQ(seal::open({derived(2), derived(1)}, "name", sealed, plain), Opened::Yes); // rotated
    EXPECT_EQ(plain, "text");
}

TEST(Seal, NoTwoAreTheSame) {
    std::set<std::string> seen;
    for (int i = 0; i < 1000; ++i)
        EXPECT_TRUE(seen.insert(seal::close(derived(), "name", "text")).second);
}

TEST(Seal, SecretsHaveOneSize) {
    EXPECT_THROW(seal::derive(key_of(1), "short"), std::runtime_error);
}

// RFC 4231, test case 2, with the key filled up with zeros, which is what HMAC does itself.
TEST(Seal, CodesAreHmacSha256) {
    seal::Key key = {};
    std::copy_n("Jefe", 4, key.begin());
    const auto code = seal::code(key, "what do ya want for nothing?");
    EXPECT_EQ(code[0], 0x5b);
    EXPECT_EQ(code[1], 0xdc);
    EXPECT_EQ(code[31], 0x43);
}

} // namespace

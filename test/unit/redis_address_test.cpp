// Connection strings of a Redis.
#include "core/redis_address.hpp"

#include <gtest/gtest.h>

namespace {

using wc::core::parse_redis_address;
using wc::core::RedisAddress;

RedisAddress parsed(std::string_view text) {
    RedisAddress address;
    const char *const objection = parse_redis_address(text, address);
    EXPECT_EQ(objection, nullptr) << text << ": " << objection;
    return address;
}

std::string objection(std::string_view text) {
    RedisAddress address;
    const char *const found = parse_redis_address(text, address);
    EXPECT_NE(found, nullptr) << text;
    return found != nullptr ? found : "";
}

TEST(RedisAddress, HasDefaults) {
    const RedisAddress address = parsed("host=127.0.0.1");
    EXPECT_EQ(address.host, "127.0.0.1");
    EXPECT_EQ(address.port, 6379);
    EXPECT_EQ(address.db, 0);
    EXPECT_EQ(address.user, "");
    EXPECT_EQ(address.passfile, "");
    EXPECT_FALSE(address.is_socket());
}

TEST(RedisAddress, TakesAllKeywords) {
    const RedisAddress address = parsed("  host = ::1\tport=7000 user=cache passfile='/etc/it\\'s \\\\ here' db=15 ");
    EXPECT_EQ(address.host, "::1");
    EXPECT_EQ(address.port, 7000);
    EXPECT_EQ(address.user, "cache");
    EXPECT_EQ(address.passfile, "/etc/it's \\ here");
    EXPECT_EQ(address.db, 15);
    EXPECT_TRUE(parsed("host=/run/redis.sock").is_socket());
}

TEST(RedisAddress, NothingIsResolved) {
    for (const char *text :
         {"host=localhost", "host=redis.example.org", "host=127.0.0.1.", "host=", "host=''", "host=redis/x"})
        EXPECT_NE(objection(text).find("numeric address"), std::string::npos) << text;
    EXPECT_NE(objection("").find("with host"), std::string::npos);
    EXPECT_NE(objection("port=1").find("with host"), std::string::npos);
    EXPECT_NE(objection("host=/" + std::string(200, 'x')).find("too long"), std::string::npos);
}

TEST(RedisAddress, RefusesAPasswordAndDoesNotRepeatIt) {
    for (const char *text : {"host=127.0.0.1 password=Geheim", "password='Geheim' host=::1"}) {
        EXPECT_NE(objection(text).find("passfile"), std::string::npos);
        EXPECT_EQ(objection(text).find("Geheim"), std::string::npos);
    }
    EXPECT_NE(objection("host=::1 user=x").find("passfile"), std::string::npos);
}

TEST(RedisAddress, RefusesWhatIsNone) {
    for (const char *text : {"host", "=x", "host=::1 port", "host='::1", "host='::1'x", "host='::1\\",
                             "redis://127.0.0.1", "host=::1 port=6379;db=1"})
        EXPECT_FALSE(objection(text).empty()) << text;
    for (const char *text :
         {"host=::1 port=0", "host=::1 port=65536", "host=::1 port=-1", "host=::1 port=1x", "host=::1 port="})
        EXPECT_NE(objection(text).find("port"), std::string::npos) << text;
    EXPECT_NE(objection("host=::1 db=-1").find("db"), std::string::npos);
    EXPECT_NE(objection("host=::1 db=").find("db"), std::string::npos);
    EXPECT_NE(objection("host=::1 passfile=x").find("absolute"), std::string::npos);
    EXPECT_NE(objection("host=::1 sslmode=require").find("keywords"), std::string::npos);
}

} // namespace

// The settings of the result cache's second tier.
#include "pg/guc_redis.hpp"

#include "core/redis_address.hpp"
#include "pg/prelude.hpp"

namespace wc::pg::settings::redis {

char *conninfo = nullptr;
int timeout = 20;
char *key_file = nullptr;

#ifdef WC_REDIS
const bool built = true;
#else
const bool built = false;
#endif

namespace {

bool is_empty(const char *value) {
    return value == nullptr || *value == '\0';
}

// Null: it is an address, or there is no memory to look at it with, which whoever connects finds out again.
const char *objection(const char *value) noexcept {
    try {
        core::RedisAddress address;
        return core::parse_redis_address(value, address);
    } catch (const std::exception &) {
        return nullptr;
    }
}

// The message is ours because the server's own quotes the value.
bool check_conninfo(char **value, void **, GucSource) {
    if (is_empty(*value))
        return true;
    if (!built) {
        GUC_check_errcode(ERRCODE_FEATURE_NOT_SUPPORTED);
        GUC_check_errmsg("whitecross was built without Redis");
        GUC_check_errdetail("The result cache has no second tier then; all else works.");
        GUC_check_errhint(
            "Build it where the development files of hiredis and OpenSSL are (libhiredis-dev, libssl-dev).");
        return false;
    }
    const char *const why = objection(*value);
    if (why != nullptr) {
        GUC_check_errmsg("invalid value for parameter \"whitecross.redis_conninfo\"");
        GUC_check_errdetail("%s", why);
    }
    return why == nullptr;
}

// What is in the file is looked at when it is needed: whoever sets this may not have written it yet.
bool check_key_file(char **value, void **, GucSource) {
    if (is_empty(*value) || is_absolute_path(*value))
        return true;
    GUC_check_errdetail("The value must be an absolute path.");
    return false;
}

} // namespace

void define() {
    DefineCustomStringVariable("whitecross.redis_conninfo", "How the result cache connects to Redis, its second tier.",
                               "Keywords and values (host, port, user, passfile, db) without a password; empty where "
                               "there is no Redis.",
                               &conninfo, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, check_conninfo, nullptr, nullptr);
    DefineCustomIntVariable("whitecross.redis_timeout", "How long Redis may take.",
                            "To let a session connect, and then for each answer.", &timeout, 20, 1, 1000, PGC_SIGHUP,
                            GUC_UNIT_MS, nullptr, nullptr, nullptr);
    DefineCustomStringVariable("whitecross.redis_key_file",
                               "The file with the keys that values in Redis are sealed with.",
                               "64 hexadecimal digits a line, of the server's user alone; the first seals, all open.",
                               &key_file, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, check_key_file, nullptr, nullptr);
}

} // namespace wc::pg::settings::redis

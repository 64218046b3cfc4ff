// The keys of the second tier, as this process has them.
#include "cache/tier_keys.hpp"

#include "cache/secret.hpp"
#include "pg/guc_redis.hpp"

#include <openssl/crypto.h>

namespace wc::cache {

bool TierKeys::ready() {
    const char *const set = pg::settings::redis::key_file;
    const char *const path = set != nullptr ? set : "";
    const key_file::Mark mark = *path != '\0' ? key_file::mark_of(path) : key_file::Mark();
    if (path_ == path && mark_ == mark && (problem_ != nullptr || !keys_.empty()))
        return problem_ == nullptr;
    path_ = path;
    mark_ = mark;
    keys_.clear();
    problem_ = "is not set";
    if (*path == '\0')
        return false;
    std::vector<seal::Key> read;
    problem_ = key_file::read_keys(path, read);
    if (problem_ != nullptr)
        return false;
    secret::Code start = secret::code_of("second tier values", nullptr, 0);
    std::vector<seal::Derived> made;
    for (seal::Key &key : read) {
        made.push_back(seal::derive(key, {reinterpret_cast<const char *>(start.data()), start.size()}));
        OPENSSL_cleanse(key.data(), key.size());
    }
    OPENSSL_cleanse(start.data(), start.size());
    keys_ = std::move(made);
    return true;
}

} // namespace wc::cache

// The keys of the second tier, as this process has them: what whitecross.redis_key_file holds, and the server's start
// makes of it.
#pragma once

#include "cache/key_file.hpp"

namespace wc::cache {

class TierKeys {
  public:
    // Reads the file again where it is another one, or was written, since. Whether there are keys. Needs the server's
    // secret (cache/secret.hpp); throws Error, std::runtime_error where libcrypto fails.
    bool ready();

    // Where there are none: why, as words that follow the setting's name.
    [[nodiscard]] const char *problem() const noexcept { return problem_; }

    // The first seals, all open.
    [[nodiscard]] const std::vector<seal::Derived> &all() const noexcept { return keys_; }

  private:
    std::string path_;
    key_file::Mark mark_;
    const char *problem_ = nullptr;
    std::vector<seal::Derived> keys_;
};

} // namespace wc::cache

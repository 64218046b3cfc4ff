// The statistics of statement patterns as they are at one moment, copied out of shared memory.
#pragma once

#include "observe/observe.hpp"
#include "observe/stats.hpp"

namespace wc::observe::stats {

class Copy {
  public:
    // Takes the patterns that this user may see. Throws Error where the library isn't preloaded.
    explicit Copy(const Viewer &viewer) : Copy(&viewer) {}

    // Takes all, which are then not for showing. Needs no transaction.
    Copy() : Copy(nullptr) {}

    [[nodiscard]] const Info &info() const { return info_; }
    [[nodiscard]] const std::vector<const Pattern *> &patterns() const { return patterns_; }

    // Its text in this database's encoding; its command tag where it has no text. Throws Error.
    [[nodiscard]] static std::string text(const Pattern &pattern);

  private:
    explicit Copy(const Viewer *viewer);
    Info info_;
    std::vector<char> memory_; // pattern after pattern, each with its text
    std::vector<const Pattern *> patterns_;
};

} // namespace wc::observe::stats

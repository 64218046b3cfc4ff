// What is read while a query runs whose rows are to be kept: by its own plan, which knows partitions and children, and
// by whatever statement a function of it runs, though it is declared immutable.
#pragma once

#include "pg/guard.hpp"

#include <array>

extern "C" {
#include "tcop/dest.h"
}

namespace wc::cache {

class Watch {
  public:
    static constexpr size_t most_tables = 2048;

    // From now on, as long as it lives. rows: where the query's own rows go, by which its plan is known.
    explicit Watch(const DestReceiver *rows) noexcept;
    Watch(const Watch &) = delete;
    Watch &operator=(const Watch &) = delete;
    ~Watch();

    // Whether all that was read is known, and can be followed: no utility statement, nothing written, no row security
    // in a nested statement, no function in another process.
    [[nodiscard]] bool seen_all() const noexcept { return !unseen_; }

    // The tables, each once, ascending.
    [[nodiscard]] std::vector<Oid> tables() const;

    // What runs now, if it is watched, does something that can't be followed.
    static void unseen() noexcept;

    // Subscribes to statements. Once, by cache::init(), while the server starts.
    static void init();

  private:
    static void started(struct QueryDesc *query) noexcept;
    void add(Oid table) noexcept;

    static Watch *current_;
    Watch *outer_;
    const DestReceiver *rows_;
    bool unseen_ = false;
    size_t count_ = 0;
    std::array<Oid, most_tables> tables_;
};

} // namespace wc::cache

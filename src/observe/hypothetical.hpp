// Hypothetical indexes of the extension hypopg, for the length of a function's call. Private to the room.
#pragma once

#include "pg/spi.hpp"

namespace wc::observe {

struct HypotheticalIndex {
    Oid oid = InvalidOid; // what the planner knows it by
    int64_t size = 0;     // bytes, as hypopg estimates
};

class Hypothetical {
  public:
    // Finds hypopg in this database, and notes the hypothetical indexes that the session has. Throws 55000 where hypopg
    // isn't installed, or not on the machine.
    explicit Hypothetical(pg::Spi &spi);

    // Makes one, which no plan uses but those of pg/what_if that ask for it. definition: CREATE INDEX ...
    HypotheticalIndex create(pg::Spi &spi, const std::string &definition) const;

    // Drops what came since the object was made, and nothing else. A cancel waits for its end.
    void drop(pg::Spi &spi) const;

  private:
    std::string schema_; // quoted
    std::string before_; // OIDs, as an array in text form
};

} // namespace wc::observe

// Places in shared memory, one for each database and one for all that come when these are taken, which are found and
// taken without a lock: for counters that many sessions add to.
#pragma once

#include "pg/guard.hpp"

extern "C" {
#include "port/atomics.h"
}

namespace wc::pg {

// Place: a plain struct whose first member is `pg_atomic_uint32 database`, aligned to what shall be apart.
template <typename Place> class PerDatabase {
  public:
    static constexpr uint32 databases = 50;

    static Size size() { return add_size(alignof(Place), mul_size(sizeof(Place), databases + 1)); }

    // In each process that starts. fresh: nothing is there yet; ready(place) then fills in what else a place has.
    template <typename Ready> void start(void *memory, bool fresh, Ready ready) {
        places_ = reinterpret_cast<Place *>(TYPEALIGN(alignof(Place), memory));
        for (Place *each = begin(); fresh && each != end(); ++each) {
            pg_atomic_init_u32(&each->database, InvalidOid);
            ready(*each);
        }
    }

    // Whether there is any: else the library was not loaded at server start.
    [[nodiscard]] bool made() const noexcept { return places_ != nullptr; }

    // The place of a database, taken for it where there is none yet and one is free. Places are never given back, so
    // what stands before a free one doesn't change any more. InvalidOid, or a database too many: that of the others.
    Place &of(Oid database) noexcept {
        for (uint32 i = 0; i < databases && OidIsValid(database); ++i) {
            uint32 there = pg_atomic_read_u32(&places_[i].database);
            if (there == InvalidOid && pg_atomic_compare_exchange_u32(&places_[i].database, &there, database))
                return places_[i];
            if (there == database)
                return places_[i];
        }
        return places_[databases];
    }

    // Of the database that this session is connected to.
    Place &own() noexcept {
        if (own_ == nullptr)
            own_ = &of(MyDatabaseId);
        return *own_;
    }

    // All, that of the others (its database is InvalidOid) last; a free one has InvalidOid too.
    Place *begin() noexcept { return places_; }
    Place *end() noexcept { return places_ + databases + 1; }
    bool is_of_others(const Place &place) const noexcept { return &place == places_ + databases; }

  private:
    Place *places_ = nullptr;
    Place *own_ = nullptr;
};

} // namespace wc::pg

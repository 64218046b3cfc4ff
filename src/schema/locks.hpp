// Locks on several relations at once, without a deadlock with a running application. Private to the room.
#pragma once

#include "schema/site.hpp"

#include <set>

namespace wc::schema {

// One session at a time makes or takes away managed objects. function: who asks, for the message.
// Throws 55P03 where another one is at it and whitecross.lock_timeout is over.
void one_at_a_time(pg::Spi &spi, const char *function);

class Locks {
  public:
    Locks(pg::Spi &spi, const Site &site) : spi_(spi), site_(site) {}

    // Asks for a lock on a relation of base_schema. A relation may be asked for several times, with several modes.
    void want(const std::string &relation, LOCKMODE mode);

    // Takes what was asked for, waiting no longer than whitecross.lock_timeout for each relation. Of a relation whose
    // strongest lock can't be had it takes the strongest of the others that can.
    void take();

    // Why a relation isn't locked as strongly as a step needs; nothing where it is.
    [[nodiscard]] std::optional<std::string> missing(const std::string &relation, LOCKMODE mode) const;

  private:
    struct Wanted {
        Oid relid = InvalidOid;
        std::set<LOCKMODE> modes;
        LOCKMODE held = NoLock;
        int waited_ms = 0; // of whitecross.lock_timeout
        bool given_up = false;
        std::string reason;
    };

    [[nodiscard]] bool caller_holds_locks();
    bool take_all();
    void lock(const std::string &name, Wanted &wanted, LOCKMODE mode, int patience_ms);
    void take_weaker(const std::string &name, Wanted &wanted);

    pg::Spi &spi_;
    const Site &site_;
    std::map<std::string, Wanted> wanted_;
    std::vector<std::string> order_;
    bool sliced_ = false; // the caller's transaction holds locks: look for deadlocks again and again
};

} // namespace wc::schema

// What the catalogue says of a view. Private to the room.
#pragma once

#include "pg/guard.hpp"

namespace wc::refresh {

// At this moment.
struct Facts {
    bool there = false;
    bool populated = false;
    Oid owner = InvalidOid;
    Oid filenode = InvalidOid;
    NameData schema = {};
    NameData name = {};
};

// Of what is no materialized view any more: not there.
Facts facts(Oid relid);

} // namespace wc::refresh

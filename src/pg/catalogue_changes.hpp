// What a transaction has changed in the catalogues, read from the messages with which the server tells its other
// sessions which of their copies are no longer true. The server sends one for whatever a catalogue's change may
// invalidate, so no command has to be known here.
#pragma once

#include "pg/prelude.hpp"

namespace wc::pg::catalogue_changes {

enum class Change : uint8 {
    Relation, // of one relation: columns, partitions, children, rules, policies, or no more than its statistics
    Names,    // what names mean, who may do what
    Rules,    // what an expression yields, though the relations in it are the same: functions, operators, enums, ...
};

// database: InvalidOid for catalogues that all databases share. relation: of Change::Relation.
using Seen = void (*)(Change change, Oid database, Oid relation);

// Tells of each change of the transaction that is about to commit or to be prepared; of one change several times,
// perhaps. Only before_transaction_end() may call it, with a transaction id assigned. Plain server code.
void each(Seen seen);

// Whether a utility statement changes catalogues, as far as its kind says.
bool may_change(Node *statement);

} // namespace wc::pg::catalogue_changes

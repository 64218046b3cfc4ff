// What is there of each managed object, and what that means.
#pragma once

#include "schema/definition.hpp"

namespace wc::schema {

// What wc_registry remembers of an object.
struct Remembered {
    bool made = false;
    bool disabled = false;
    pg::Text definition;
    pg::Text reason;
};

enum class Status { installed, adopted, conflict, pending, outdated, disabled, not_applicable };
const char *status_name(Status status);

struct State {
    Definition wanted;
    Remembered remembered;
    Status status = Status::pending;
    std::string reason;
    Oid oid = InvalidOid;      // of the relation, the constraint or the first trigger; InvalidOid: not there
    Oid class_id = InvalidOid; // pg_class, pg_constraint or pg_trigger
    bool validated = true;     // of a constraint; of triggers, that all are there and switched on
    bool populated = true;     // of a view
    bool linked = false;       // DROP EXTENSION removes it
    std::vector<Oid>
        inherited; // of a constraint: the same one of the table's partitions and children; the other triggers
    std::vector<Trigger> triggers; // that are there

    [[nodiscard]] bool exists() const { return OidIsValid(oid); }
    [[nodiscard]] bool ours() const { return exists() && remembered.made; }
};

// Every managed object with its state, in the order of definitions().
std::vector<State> inspect(pg::Spi &spi, const Site &site);

// Names of the relations that depend on a view, comma-separated; empty: none.
std::string dependents(pg::Spi &spi, Oid view);

} // namespace wc::schema

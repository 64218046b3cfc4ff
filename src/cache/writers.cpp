// The writes of this session's transactions, collected from its locks and its invalidation messages.
#include "cache/writers.hpp"

#include "cache/prepared.hpp"
#include "pg/catalogue_changes.hpp"
#include "pg/hooks.hpp"
#include "pg/own_locks.hpp"

#include <algorithm>

extern "C" {
#include "access/transam.h"
#include "catalog/pg_description.h"
#include "catalog/pg_largeobject.h"
#include "catalog/pg_largeobject_metadata.h"
#include "catalog/pg_shdescription.h"
#include "commands/dbcommands.h"
}

namespace wc::cache::generations {

namespace {

using pg::catalogue_changes::Change;
using pg::own_locks::Held;

// This session's transaction, from before its end until it has given back all it held.
struct Ending {
    CellList marked;
    bool collected; // before its end
    CommandId command;
    bool visible; // by now, to everybody
    bool failed;  // to be prepared
};

constinit Ending ending = {};
constinit bool catalogue_touched = false; // by a utility statement of this transaction
constinit bool ends_prepared = false;     // such a statement
constinit Oid dropped_database = InvalidOid;

constinit std::array<Held, CellList::most> held = {};

bool is_marked(uint32 cell) {
    for (uint32 i = 0; i < ending.marked.count; ++i)
        if (ending.marked.cell[i] == cell)
            return true;
    return false;
}

// The last place is kept for the cell that stands for all others.
void add(uint32 cell) {
    CellList &marked = ending.marked;
    if (is_marked(cell))
        return;
    if (marked.count >= CellList::most - 1) {
        if (marked.count == CellList::most)
            return;
        cell = everything_cell();
    }
    marked.cell[marked.count++] = cell;
    mark(cell);
}

bool is_of_catalogue(Oid relation) {
    return relation < FirstNormalObjectId;
}

// Locks that commands keep on catalogues, and their indexes, that no cached result follows from: those of large objects
// and of comments.
bool is_of_no_result(Oid relation) {
    switch (relation) {
    case LargeObjectRelationId:
    case LargeObjectLOidPNIndexId:
    case LargeObjectMetadataRelationId:
    case LargeObjectMetadataOidIndexId:
    case DescriptionRelationId:
    case DescriptionObjIndexId:
    case SharedDescriptionRelationId:
    case SharedDescriptionObjIndexId:
        return true;
    default:
        return false;
    }
}

void add_locked() {
    const size_t count = pg::own_locks::of_writers(held.data(), held.size());
    if (count > held.size()) {
        add(everything_cell());
        return;
    }
    for (size_t i = 0; i < count; ++i) {
        const Held &each = held[i];
        if (!is_of_catalogue(each.relation)) {
            add(cell_of(each.database, each.relation));
        } else if (!is_of_no_result(each.relation)) {
            // Somebody has changed a catalogue by hand, or a command that says so by messages too has kept the lock.
            add(names_cell(each.database));
            if (OidIsValid(each.database))
                add(rules_cell(each.database));
        }
    }
}

void add_changed(Change change, Oid database, Oid relation) {
    switch (change) {
    case Change::Relation:
        // Statistics and storage of the catalogues themselves.
        if (!is_of_catalogue(relation))
            add(cell_of(database, relation));
        break;
    case Change::Names:
        add(names_cell(database));
        break;
    case Change::Rules:
        add(rules_cell(database));
        break;
    }
}

void unmark_all() noexcept {
    CellList &marked = ending.marked;
    while (marked.count > 0)
        unmark(marked.cell[--marked.count]);
}

// Plain server code.
WC_HOT void before_end(XactEvent event) {
    const TransactionId transaction = GetTopTransactionIdIfAny();
    if (!TransactionIdIsValid(transaction))
        return;
    ending.command = GetCurrentCommandId(false);
    ending.collected = true;
    add_locked();
    pg::catalogue_changes::each(add_changed);
    // Another may be made with its OID, and those of its tables.
    if (OidIsValid(dropped_database))
        add(rules_cell(dropped_database));
    // From here on the marks are those of the prepared transaction.
    if (event == XACT_EVENT_PRE_PREPARE && ending.marked.count > 0) {
        prepared::keep(transaction, ending.marked);
        ending.marked.count = 0;
    }
}

// Others that are told of the end of a transaction may have written after we were told. What they have then is marked
// late, which lets a reader see the write first and the result of before it next, but not once the client is told.
WC_HOT void add_latecomers() {
    if (!TransactionIdIsValid(GetTopTransactionIdIfAny()))
        return;
    if (!ending.collected || ending.command != GetCurrentCommandId(false))
        add_locked();
}

WC_HOT void at_end(XactEvent event) {
    switch (event) {
    case XACT_EVENT_COMMIT:
        add_latecomers();
        ending.visible = ending.marked.count > 0;
        break;
    case XACT_EVENT_PREPARE:
        prepared::kept(ending.collected && ending.command != GetCurrentCommandId(false));
        break;
    default:
        unmark_all();
        ending.failed = prepared::dropped();
        break;
    }
    ending.collected = false;
    catalogue_touched = false;
    dropped_database = InvalidOid;
    // Apply workers end prepared transactions without a statement.
    if (ends_prepared || MyBackendType == B_BG_WORKER)
        prepared::ended();
    ends_prepared = false;
}

WC_HOT void after_end(bool committed) {
    if (ending.failed) {
        ending.failed = false;
        prepared::ended();
    }
    if (!ending.visible || !committed)
        return;
    for (uint32 i = 0; i < ending.marked.count; ++i)
        move(ending.marked.cell[i]);
    unmark_all();
    ending.visible = false;
}

void before_utility(Node *statement) {
    if (IsA(statement, TransactionStmt)) {
        const auto kind = reinterpret_cast<TransactionStmt *>(statement)->kind;
        ends_prepared = kind == TRANS_STMT_COMMIT_PREPARED || kind == TRANS_STMT_ROLLBACK_PREPARED;
        return;
    }
    if (IsA(statement, DropdbStmt))
        dropped_database =
            pg::call([=] { return get_database_oid(reinterpret_cast<DropdbStmt *>(statement)->dbname, true); });
    if (!catalogue_touched)
        catalogue_touched = pg::call([=] { return pg::catalogue_changes::may_change(statement); });
}

} // namespace

bool OwnWrites::wrote(Oid table) const {
    if (too_many)
        return true;
    for (size_t i = 0; i < count; ++i)
        if (tables[i] == table)
            return true;
    return false;
}

OwnWrites own_writes() noexcept {
    OwnWrites own;
    if (!TransactionIdIsValid(GetTopTransactionIdIfAny()))
        return own;
    own.catalogue = catalogue_touched;
    const size_t count = pg::own_locks::of_writers(held.data(), held.size());
    own.too_many = count > held.size();
    for (size_t i = 0; i < std::min(count, held.size()); ++i) {
        if (is_of_catalogue(held[i].relation))
            own.catalogue = own.catalogue || !is_of_no_result(held[i].relation);
        else
            own.tables[own.count++] = held[i].relation;
    }
    return own;
}

void follow_writers() {
    pg::hooks::before_transaction_end(before_end);
    pg::hooks::at_transaction_end(at_end);
    pg::hooks::resources_released(after_end);
    pg::hooks::before_utility(before_utility);
}

} // namespace wc::cache::generations

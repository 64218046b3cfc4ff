// A normalised statement, analysed without its values: with parameters where there were constants, some of which the
// grammar or the rules of types would not have. Nothing is executed.
#pragma once

#include "pg/transaction.hpp"

#include <string>
#include <vector>

namespace wc::pg {

struct Unbound {
    std::string text;
    Oid role = InvalidOid; // that it is analysed and planned as; InvalidOid: the current user
    // Partial indexes that are planned with as if their predicates held: with the values that the statement is run with
    // they may well do.
    std::vector<Oid> assumed = {};
    std::vector<Oid> types = {}; // of its parameters as far as they had to be guessed; InvalidOid: not guessed
};

struct Unplanned {
    int sqlstate = 0;   // why it can't be planned; 0: it can
    std::string reason; // in words without values
    [[nodiscard]] bool failed() const { return sqlstate != 0; }
};

// Changes a statement so that analyse_unbound() can read it, as far as that goes: its text, and guessed types. Returns
// the error where it doesn't. No lock is kept.
std::optional<Error> make_analysable(Unbound &statement);

// The rewritten queries of a statement. types: as guessed, InvalidOid where there is no guess. Plain server code: call
// it inside a guard, as aside() has it.
List *analyse_unbound(const char *text, const Oid *types, int count);

// What a statement that can't be planned is told as: never the message, which may have a name in it that is somebody's.
Unplanned why_unplanned(const Error &error);

// Memory for trees, which goes with the object.
class Scratch {
  public:
    Scratch() {
        memory_ =
            call([] { return AllocSetContextCreate(CurrentMemoryContext, "whitecross plan", ALLOCSET_DEFAULT_SIZES); });
    }
    Scratch(const Scratch &) = delete;
    Scratch &operator=(const Scratch &) = delete;
    ~Scratch() { MemoryContextDelete(memory_); }
    [[nodiscard]] MemoryContext get() const { return memory_; }

  private:
    MemoryContext memory_ = nullptr;
};

// Runs f as the statement's role in memory of its own, in a subtransaction that is rolled back: no lock stays.
template <typename F> std::optional<Error> aside(const Unbound &statement, F &&f) {
    const Scratch scratch;
    return undone([&] {
        const UserScope role(OidIsValid(statement.role) ? statement.role : GetUserId(), SECURITY_RESTRICTED_OPERATION);
        MemoryContext const outer = MemoryContextSwitchTo(scratch.get());
        try {
            f();
        } catch (...) {
            MemoryContextSwitchTo(outer);
            throw;
        }
        MemoryContextSwitchTo(outer);
    });
}

} // namespace wc::pg

// Subtransactions, scoped settings and scoped identity.
#pragma once

#include "pg/guard.hpp"

namespace wc::pg {

// Runs f in a subtransaction. Committed when f returns; rolled back when it throws.
// Returns the Error that f failed with, or nothing. What must end the statement (cancel, shutdown) is thrown on.
template <typename F> std::optional<Error> attempt(F &&f) {
    MemoryContext const memory = CurrentMemoryContext;
    ResourceOwner const owner = CurrentResourceOwner;
    call([] { BeginInternalSubTransaction(nullptr); });
    MemoryContextSwitchTo(memory);
    std::optional<Error> failure;
    std::exception_ptr foreign;
    try {
        f();
        MemoryContextSwitchTo(memory);
        call([] { ReleaseCurrentSubTransaction(); }); // can fail too: then it is rolled back
    } catch (const Error &error) {
        failure = error;
    } catch (...) {
        foreign = std::current_exception();
    }
    MemoryContextSwitchTo(memory);
    if (failure || foreign)
        call([] { RollbackAndReleaseCurrentSubTransaction(); });
    MemoryContextSwitchTo(memory);
    CurrentResourceOwner = owner;
    if (foreign)
        std::rethrow_exception(foreign);
    if (failure && failure->ends_statement())
        throw *failure;
    return failure;
}

// Runs f in a subtransaction that is rolled back in any case: neither what it did nor its locks stay. Returns and
// throws as attempt() does.
template <typename F> std::optional<Error> undone(F &&f) {
    struct Done {};
    try {
        return attempt([&] {
            f();
            throw Done();
        });
    } catch (const Done &) {
        return {};
    }
}

// Settings for the life of the object, as a function's SET clause has them. When an exception passes, the
// (sub)transaction that it ends in restores them.
class SettingScope {
  public:
    SettingScope();
    SettingScope(const SettingScope &) = delete;
    SettingScope &operator=(const SettingScope &) = delete;
    ~SettingScope();
    void set(const char *name, const char *value);

  private:
    int level_;
    int exceptions_;
};

// The effective user for the life of the object. flags: SECURITY_... added to the security context.
class UserScope {
  public:
    UserScope(Oid user, int flags);
    UserScope(const UserScope &) = delete;
    UserScope &operator=(const UserScope &) = delete;
    ~UserScope();

  private:
    Oid user_;
    int context_;
};

// Throws 25006 on a standby or in a read-only transaction. function: the SQL name, for the message.
void require_writable(const char *function);

} // namespace wc::pg

// Scoped settings and identity; refusal where nothing can be written.
#include "pg/transaction.hpp"

namespace wc::pg {

SettingScope::SettingScope() : level_(NewGUCNestLevel()), exceptions_(std::uncaught_exceptions()) {}

SettingScope::~SettingScope() {
    if (std::uncaught_exceptions() == exceptions_)
        AtEOXact_GUC(true, level_);
}

void SettingScope::set(const char *name, const char *value) {
    call([=] {
        (void)set_config_option(name, value, superuser() ? PGC_SUSET : PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
                                true, 0, false);
    });
}

UserScope::UserScope(Oid user, int flags) {
    GetUserIdAndSecContext(&user_, &context_);
    SetUserIdAndSecContext(user, context_ | flags);
}

UserScope::~UserScope() {
    SetUserIdAndSecContext(user_, context_);
}

void require_writable(const char *function) {
    if (RecoveryInProgress())
        throw Error(ERRCODE_READ_ONLY_SQL_TRANSACTION, std::string("cannot execute ") + function + " during recovery",
                    "This server is a standby: it cannot be written.", "Run it on the primary server.");
    if (XactReadOnly)
        throw Error(ERRCODE_READ_ONLY_SQL_TRANSACTION,
                    std::string("cannot execute ") + function + " in a read-only transaction", {},
                    "Use SET TRANSACTION READ WRITE, or a session whose default_transaction_read_only is off.");
}

} // namespace wc::pg

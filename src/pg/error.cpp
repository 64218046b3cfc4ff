// Error reports as exceptions, and back.
#include "pg/error.hpp"

#include "pg/guard.hpp"

namespace wc::pg {

namespace {

MemoryContext reports = nullptr;

struct Condition {
    int sqlstate;
    const char *name;
};

// Generated at build time from the server's errcodes.txt.
const Condition conditions[] = {
#include "condition_names.inc"
};

// Copies a C++ string into error_memory(); null for an empty one. Throws bad_alloc, never raises.
char *copy_text(const std::string &text) {
    if (text.empty())
        return nullptr;
    auto *copy = static_cast<char *>(MemoryContextAllocExtended(error_memory(), text.size() + 1, MCXT_ALLOC_NO_OOM));
    if (copy == nullptr)
        throw std::bad_alloc();
    text.copy(copy, text.size());
    copy[text.size()] = '\0';
    return copy;
}

} // namespace

MemoryContext error_memory() {
    return reports;
}

void reserve_error_memory() {
    if (reports == nullptr) // as the server keeps room for its own reports
        reports = AllocSetContextCreate(TopMemoryContext, "whitecross errors", 8 * 1024, 8 * 1024, 8 * 1024);
}

Error::Held::~Held() {
    if (data != nullptr)
        FreeErrorData(data);
}

Error::Error(ErrorData *captured) : held_(std::make_shared<Held>(captured, true)) {}

Error::Error(int sqlstate, const std::string &message, const std::string &detail, const std::string &hint) {
    auto *data = static_cast<ErrorData *>(
        MemoryContextAllocExtended(error_memory(), sizeof(ErrorData), MCXT_ALLOC_NO_OOM | MCXT_ALLOC_ZERO));
    if (data == nullptr)
        throw std::bad_alloc();
    held_ = std::make_shared<Held>(data, false);
    data->elevel = ERROR;
    data->sqlerrcode = sqlstate;
    data->message = copy_text(message);
    data->detail = copy_text(detail);
    data->hint = copy_text(hint);
    data->assoc_context = error_memory();
}

const char *Error::what() const noexcept {
    const char *message = held_->data->message;
    return message != nullptr ? message : "error without a message";
}

bool Error::ends_statement() const noexcept {
    const int state = sqlstate();
    return state == ERRCODE_QUERY_CANCELED || state == ERRCODE_ADMIN_SHUTDOWN || state == ERRCODE_CRASH_SHUTDOWN ||
           state == ERRCODE_CONNECTION_FAILURE || state == ERRCODE_IDLE_SESSION_TIMEOUT;
}

Raise Error::release() noexcept {
    Raise raise;
    raise.captured = held_->captured;
    raise.data = std::exchange(held_->data, nullptr);
    return raise;
}

void raise(const Raise &what) {
    // The report outlives this call by being copied on the way out; it is freed when the next one is raised.
    static ErrorData *previous = nullptr;
    if (what.data == nullptr)
        ereport(ERROR, (errcode(what.sqlstate), errmsg("%s", what.message)));
    if (previous != nullptr)
        FreeErrorData(previous);
    previous = what.data;
    if (what.captured) {
        InterruptHoldoffCount = 0; // as when an error is raised for the first time
        QueryCancelHoldoffCount = 0;
        ReThrowError(what.data);
    }
    ThrowErrorData(what.data); // a report of ours: the server adds its context, and where it should go
    pg_unreachable();
}

std::string condition_name(int sqlstate) {
    for (const auto &condition : conditions)
        if (condition.sqlstate == sqlstate)
            return condition.name;
    return "unknown_condition";
}

std::string sqlstate_text(int sqlstate) {
    std::string text(5, '0');
    for (char &c : text) {
        c = PGUNSIXBIT(sqlstate);
        sqlstate >>= 6;
    }
    return text;
}

} // namespace wc::pg

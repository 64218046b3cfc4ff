// Error reports as exceptions, and back.
#include "pg/error.hpp"

#include "pg/guard.hpp"

namespace wc::pg {

namespace {

struct Condition {
    int sqlstate;
    const char *name;
};

// Generated at build time from the server's errcodes.txt.
const Condition conditions[] = {
#include "condition_names.inc"
};

// Copies a C++ string; null for an empty one. Plain server code.
char *copy_text(MemoryContext memory, const char *text) {
    return *text == '\0' ? nullptr : MemoryContextStrdup(memory, text);
}

} // namespace

MemoryContext report_memory() {
    return AllocSetContextCreate(TopMemoryContext, "whitecross error", ALLOCSET_SMALL_SIZES);
}

Error::Held::~Held() {
    if (report.memory != nullptr)
        MemoryContextDelete(report.memory);
}

Error::Error(const Report &captured) : held_(std::make_shared<Held>(captured)) {}

Error::Error(int sqlstate, const std::string &message, const std::string &detail, const std::string &hint)
    : held_(std::make_shared<Held>(Report())) {
    const char *const message_text = message.c_str();
    const char *const detail_text = detail.c_str();
    const char *const hint_text = hint.c_str();
    Report &report = held_->report;
    report.memory = call(report_memory);
    MemoryContext const memory = report.memory;
    report.data = call([=] {
        auto *data = static_cast<ErrorData *>(MemoryContextAllocZero(memory, sizeof(ErrorData)));
        data->elevel = ERROR;
        data->sqlerrcode = sqlstate;
        data->message = copy_text(memory, message_text);
        data->detail = copy_text(memory, detail_text);
        data->hint = copy_text(memory, hint_text);
        data->assoc_context = memory;
        return data;
    });
}

const char *Error::what() const noexcept {
    const char *message = held_->report.data->message;
    return message != nullptr ? message : "error without a message";
}

bool Error::ends_statement() const noexcept {
    const int state = sqlstate();
    return state == ERRCODE_QUERY_CANCELED || state == ERRCODE_ADMIN_SHUTDOWN || state == ERRCODE_CRASH_SHUTDOWN ||
           state == ERRCODE_CONNECTION_FAILURE || state == ERRCODE_IDLE_SESSION_TIMEOUT;
}

Raise Error::release() noexcept {
    Raise raise;
    raise.report = std::exchange(held_->report, Report());
    return raise;
}

void raise(const Raise &what) {
    // The report outlives this call by being copied on the way out; it is freed when the next one is raised.
    static MemoryContext previous = nullptr;
    const Report &report = what.report;
    if (report.data == nullptr)
        ereport(ERROR, (errcode(what.sqlstate), errmsg("%s", what.message)));
    if (previous != nullptr)
        MemoryContextDelete(previous);
    previous = report.memory;
    if (report.captured) {
        InterruptHoldoffCount = 0; // as when an error is raised for the first time
        QueryCancelHoldoffCount = 0;
        ReThrowError(report.data);
    }
    ThrowErrorData(report.data); // a report of ours: the server adds its context, and where it should go
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

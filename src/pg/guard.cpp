// The out-of-line half of the guards.
#include "pg/guard.hpp"

extern "C" {
#include "mb/pg_wchar.h"
}

namespace wc::pg {

namespace {

// Copies the current report; without data where there is no memory for it. That is an error of the server's too, and
// the caller has C++ objects that it must not jump over: so it ends here.
Report copy_report() {
    sigjmp_buf *const outer = PG_exception_stack;
    MemoryContext volatile memory = nullptr;
    sigjmp_buf here;
    if (sigsetjmp(here, 0) != 0) {
        PG_exception_stack = outer;
        if (memory != nullptr)
            MemoryContextDelete(memory);
        return {};
    }
    PG_exception_stack = &here;
    memory = report_memory();
    MemoryContextSwitchTo(memory);
    ErrorData *const data = CopyErrorData();
    data->cursorpos = 0; // a place in a text of ours, not in the client's statement
    PG_exception_stack = outer;
    return {data, memory, true};
}

// Into a buffer of fixed size, without half a character at the end.
void copy_text(Raise &raise, const char *text) {
    const auto length = static_cast<int>(strlen(text));
    const auto room = static_cast<int>(sizeof(raise.message) - 1);
    strlcpy(raise.message, text, pg_mbcliplen(text, length, room) + 1);
}

} // namespace

void throw_captured(const Frame &outer) {
    outer.leave();
    InterruptHoldoffCount = outer.interrupt_holdoff;
    QueryCancelHoldoffCount = outer.cancel_holdoff;
    const Report report = copy_report();
    MemoryContextSwitchTo(outer.memory);
    FlushErrorState();
    if (report.data == nullptr)
        throw std::bad_alloc();
    throw Error(report);
}

Raise current_exception_as_raise() noexcept {
    Raise raise;
    raise.sqlstate = ERRCODE_INTERNAL_ERROR;
    try {
        throw;
    } catch (Error &error) {
        return error.release();
    } catch (const std::bad_alloc &) {
        raise.sqlstate = ERRCODE_OUT_OF_MEMORY;
        copy_text(raise, "out of memory");
    } catch (const std::exception &exception) {
        copy_text(raise, exception.what()); // the text dies with the exception
    } catch (...) {
        copy_text(raise, "unknown C++ exception");
    }
    return raise;
}

} // namespace wc::pg

// The out-of-line half of the guards.
#include "pg/guard.hpp"

namespace wc::pg {

void throw_captured(MemoryContext restore) {
    MemoryContextSwitchTo(error_memory());
    ErrorData *report = CopyErrorData();
    FlushErrorState();
    report->cursorpos = 0; // a place in a text of ours, not in the client's statement
    MemoryContextSwitchTo(restore);
    throw Error(report);
}

Raise current_exception_as_raise() noexcept {
    Raise raise;
    const char *text = "unknown C++ exception";
    raise.sqlstate = ERRCODE_INTERNAL_ERROR;
    try {
        throw;
    } catch (Error &error) {
        return error.release();
    } catch (const std::bad_alloc &) {
        raise.sqlstate = ERRCODE_OUT_OF_MEMORY;
        text = "out of memory";
        strlcpy(raise.message, text, sizeof(raise.message));
        return raise;
    } catch (const std::exception &exception) {
        text = exception.what();
        strlcpy(raise.message, text, sizeof(raise.message)); // the text dies with the exception: copied here
        return raise;
    } catch (...) {
        strlcpy(raise.message, text, sizeof(raise.message));
        return raise;
    }
}

} // namespace wc::pg

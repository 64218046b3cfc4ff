// The two guards between PostgreSQL's longjmp and C++ exceptions.
//   entry(f): the way in from the server. Nothing escapes but an ereport, raised when every C++ object is gone.
//   call(f):  the way out to the server. An ereport inside f comes back as pg::Error.
// Inside call(f) no object with a destructor may stand between the guard and what can raise.
#pragma once

#include "pg/error.hpp"

namespace wc::pg {

// Takes the server's current error report as an Error; clears the server's error state.
[[noreturn]] void throw_captured(MemoryContext restore);

// Runs f, server code that can ereport. Returns what f returns. About 40 ns: guard a batch, not a tuple.
// Throws Error with the whole report.
template <typename F> auto call(F &&f) {
    using Result = std::invoke_result_t<F>;
    static_assert(std::is_void_v<Result> || std::is_trivially_destructible_v<Result>,
                  "server code returns plain values: longjmp runs no destructor");
    sigjmp_buf *const saved_stack = PG_exception_stack;
    ErrorContextCallback *const saved_callbacks = error_context_stack;
    MemoryContext const saved_memory = CurrentMemoryContext;
    sigjmp_buf here;
    if (sigsetjmp(here, 0) == 0) {
        PG_exception_stack = &here;
        if constexpr (std::is_void_v<Result>) {
            f();
            PG_exception_stack = saved_stack;
            error_context_stack = saved_callbacks;
            return;
        } else {
            Result result = f();
            PG_exception_stack = saved_stack;
            error_context_stack = saved_callbacks;
            return result;
        }
    }
    PG_exception_stack = saved_stack;
    error_context_stack = saved_callbacks;
    throw_captured(saved_memory);
}

// Turns any exception in flight into something trivial that can be raised later. Call it in a catch block.
Raise current_exception_as_raise() noexcept;

// Runs f, C++ code called by the server. Every exception becomes an ereport(ERROR) after f's objects are destroyed:
// Error keeps its report, std::bad_alloc is 53200, any other std::exception XX000 with its text.
template <typename F> auto entry(F &&f) -> std::invoke_result_t<F> {
    Raise caught;
    try {
        return f();
    } catch (...) {
        caught = current_exception_as_raise();
    }
    raise(caught);
}

// Lets a cancel, a timeout or a shutdown interrupt a C++ loop. Throws Error.
inline void check_for_interrupts() {
    if (INTERRUPTS_PENDING_CONDITION())
        call([] { ProcessInterrupts(); });
}

} // namespace wc::pg

// Defines an SQL-callable C function behind the entry guard:  WC_FUNCTION(wc_x) { ... return Datum; }
#define WC_FUNCTION(name)                                                                                              \
    static Datum name##_body(FunctionCallInfo fcinfo);                                                                 \
    extern "C" {                                                                                                       \
    WC_EXPORT Datum name(PG_FUNCTION_ARGS);                                                                            \
    WC_EXPORT const Pg_finfo_record *pg_finfo_##name(void);                                                            \
    const Pg_finfo_record *pg_finfo_##name(void) {                                                                     \
        static const Pg_finfo_record record = {1};                                                                     \
        return &record;                                                                                                \
    }                                                                                                                  \
    Datum name(PG_FUNCTION_ARGS) {                                                                                     \
        return wc::pg::entry([fcinfo] { return name##_body(fcinfo); });                                                \
    }                                                                                                                  \
    }                                                                                                                  \
    static Datum name##_body([[maybe_unused]] FunctionCallInfo fcinfo)

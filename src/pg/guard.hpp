// The two guards between PostgreSQL's longjmp and C++ exceptions.
//   entry(f): the way in from the server. Nothing escapes but an ereport, raised when every C++ object is gone.
//   call(f):  the way out to the server. An ereport inside f comes back as pg::Error.
// Inside call(f) no object with a destructor may stand between the guard and what can raise.
#pragma once

#include "pg/error.hpp"

namespace wc::pg {

// What an error in the server changes, as it was when a call guard was entered.
struct Frame {
    sigjmp_buf *stack = PG_exception_stack;
    ErrorContextCallback *callbacks = error_context_stack;
    MemoryContext memory = CurrentMemoryContext;
    uint32 interrupt_holdoff = InterruptHoldoffCount; // raising an error sets both to 0: what C++ code holds off
    uint32 cancel_holdoff = QueryCancelHoldoffCount;  // has to stay held off when the error is caught
    void leave() const {
        PG_exception_stack = stack;
        error_context_stack = callbacks;
    }
};

// Takes the server's current error report as an Error; clears the server's error state. Throws std::bad_alloc where
// there is no memory for the report.
[[noreturn]] void throw_captured(const Frame &outer);

// Runs f, server code that can ereport. Returns what f returns. About 40 ns: guard a batch, not a tuple.
// Throws Error with the whole report, and lets a C++ exception of f's pass.
template <typename F> auto call(F &&f) {
    using Result = std::invoke_result_t<F>;
    static_assert(std::is_void_v<Result> || std::is_trivially_destructible_v<Result>,
                  "server code returns plain values: longjmp runs no destructor");
    const Frame outer;
    sigjmp_buf here;
    if (sigsetjmp(here, 0) == 0) {
        PG_exception_stack = &here;
        try {
            if constexpr (std::is_void_v<Result>) {
                f();
                outer.leave();
                return;
            } else {
                Result result = f();
                outer.leave();
                return result;
            }
        } catch (...) {
            outer.leave(); // or the server's next error would jump into this frame, which is gone by then
            throw;
        }
    }
    throw_captured(outer);
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

// The memory that an SQL function is called with, in which its result has to be. Functions call each other through SQL:
// the innermost one's counts.
class ResultMemory {
  public:
    ResultMemory() : outer_(std::exchange(current_, CurrentMemoryContext)) {}
    ResultMemory(const ResultMemory &) = delete;
    ResultMemory &operator=(const ResultMemory &) = delete;
    ~ResultMemory() { current_ = outer_; }
    static MemoryContext current() { return current_; }

  private:
    static MemoryContext current_;
    MemoryContext outer_;
};

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
        return wc::pg::entry([fcinfo] {                                                                                \
            const wc::pg::ResultMemory memory;                                                                         \
            return name##_body(fcinfo);                                                                                \
        });                                                                                                            \
    }                                                                                                                  \
    }                                                                                                                  \
    static Datum name##_body([[maybe_unused]] FunctionCallInfo fcinfo)

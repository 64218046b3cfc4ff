// PostgreSQL's error reports as a C++ exception, and back. The whole ErrorData travels: SQLSTATE, message, detail,
// hint, context, schema, table, column, data type and constraint names.
#pragma once

#include "pg/prelude.hpp"

namespace wc::pg {

// What an entry guard raises once every C++ object is gone. Trivial on purpose: ereport jumps over it.
struct Raise {
    ErrorData *data = nullptr; // a report to raise; null: the two fields at the end
    bool captured = false;     // the report is the server's own, complete with its context
    int sqlstate = 0;
    char message[160] = {};
};

class Error : public std::exception {
  public:
    // Takes over a report allocated in error_memory().
    explicit Error(ErrorData *captured);

    // A report of our own.
    // sqlstate: an ERRCODE_ macro's value; message: lower-case, no full stop; detail and hint: full sentences.
    Error(int sqlstate, const std::string &message, const std::string &detail = {}, const std::string &hint = {});

    [[nodiscard]] int sqlstate() const noexcept { return held_->data->sqlerrcode; }
    [[nodiscard]] const ErrorData &data() const noexcept { return *held_->data; }
    [[nodiscard]] const char *what() const noexcept override;

    // True for what must end the calling statement whatever it was doing: cancel, shutdown, lost connection.
    [[nodiscard]] bool ends_statement() const noexcept;

    // Gives the report away to be raised; the exception is empty afterwards.
    [[nodiscard]] Raise release() noexcept;

  private:
    struct Held {
        ErrorData *data;
        bool captured;
        Held(ErrorData *d, bool c) : data(d), captured(c) {}
        Held(const Held &) = delete;
        Held &operator=(const Held &) = delete;
        ~Held();
    };
    std::shared_ptr<Held> held_; // exceptions are copied while they fly
};

// Where captured reports live: survives every (sub)transaction's end.
MemoryContext error_memory();

// Makes it, with room for an ordinary report even when memory has run out. Called once, first thing in _PG_init: later,
// it could fail itself, where only an exception may.
void reserve_error_memory();

// Raises what an entry guard caught. Call it with no C++ object alive in the frame.
[[noreturn]] void raise(const Raise &what);

// The condition name of PostgreSQL's Appendix A for a SQLSTATE ("lock_not_available"), or "unknown_condition".
std::string condition_name(int sqlstate);

// The five characters of a SQLSTATE.
std::string sqlstate_text(int sqlstate);

} // namespace wc::pg

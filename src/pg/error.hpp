// PostgreSQL's error reports as a C++ exception, and back. The whole ErrorData travels: SQLSTATE, message, detail,
// hint, context, schema, table, column, data type and constraint names.
#pragma once

#include "pg/prelude.hpp"

namespace wc::pg {

// A report in memory of its own, which goes as a whole: the server copies parts of a report that its own function to
// free one forgets. Trivial on purpose, as Raise is: ereport jumps over it.
struct Report {
    ErrorData *data = nullptr;
    MemoryContext memory = nullptr;
    bool captured = false; // the server's own, complete with its context; or one of ours
};

// What an entry guard raises once every C++ object is gone.
struct Raise {
    Report report; // without data: the two fields below
    int sqlstate = 0;
    char message[160] = {};
};

class Error : public std::exception {
  public:
    // Takes the report over.
    explicit Error(const Report &captured);

    // A report of our own.
    // sqlstate: an ERRCODE_ macro's value; message: lower-case, no full stop; detail and hint: full sentences.
    Error(int sqlstate, const std::string &message, const std::string &detail = {}, const std::string &hint = {});

    [[nodiscard]] int sqlstate() const noexcept { return held_->report.data->sqlerrcode; }
    [[nodiscard]] const ErrorData &data() const noexcept { return *held_->report.data; }
    [[nodiscard]] const char *what() const noexcept override;

    // True for what must end the calling statement whatever it was doing: cancel, shutdown, lost connection.
    [[nodiscard]] bool ends_statement() const noexcept;

    // Gives the report away to be raised; the exception is empty afterwards.
    [[nodiscard]] Raise release() noexcept;

  private:
    struct Held {
        Report report;
        explicit Held(const Report &r) : report(r) {}
        Held(const Held &) = delete;
        Held &operator=(const Held &) = delete;
        ~Held();
    };
    std::shared_ptr<Held> held_; // exceptions are copied while they fly
};

// Makes memory for a report, which survives every (sub)transaction's end. Plain server code: call it inside a guard.
MemoryContext report_memory();

// Raises what an entry guard caught. Call it with no C++ object alive in the frame.
[[noreturn]] void raise(const Raise &what);

// The condition name of PostgreSQL's Appendix A for a SQLSTATE ("lock_not_available"), or "unknown_condition".
std::string condition_name(int sqlstate);

// The five characters of a SQLSTATE.
std::string sqlstate_text(int sqlstate);

} // namespace wc::pg

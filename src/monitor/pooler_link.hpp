// A connection to PgBouncer's console that never waits: whoever has it waits for its socket, and looks again.
#pragma once

#include "core/pooler_answer.hpp"
#include "pg/worker.hpp"

struct pg_conn;
struct pg_result;

namespace wc::monitor::pooler {

class Link {
  public:
    enum class State { Connecting, Idle, Asking, Failed };

    // Begins to connect. Throws Error where that can't even begin.
    explicit Link(const char *conninfo);
    Link(const Link &) = delete;
    Link &operator=(const Link &) = delete;
    ~Link();

    // Does what can be done without waiting, and takes at most so many rows of an answer.
    State advance(int rows);

    // Only where it is Idle. The answer's rows come with advance(), up to where it is Idle again.
    void ask(core::pooler::Question question, core::pooler::Answer &answer);

    // What to wait for; nothing where there is more to do at once.
    [[nodiscard]] pg::Awaited awaited() const;
    [[nodiscard]] bool more() const { return more_; }

    // Where it has Failed: why, on one line, of printable ASCII, without the password.
    [[nodiscard]] const std::string &error() const { return error_; }

  private:
    [[nodiscard]] bool is_ready() const;
    State connect();
    State rest();
    State send();
    State receive(int rows);
    void take(const pg_result *result);
    State failed(const std::string &why);
    [[nodiscard]] std::string connection_error() const;

    pg_conn *connection_ = nullptr;
    State state_ = State::Connecting;
    int events_;
    bool unsent_ = false; // of the question
    bool more_ = false;   // of the answer is here already
    bool titled_ = false; // the columns of the answer are known
    bool answered_ = false;
    int64 rows_ = 0;
    int unasked_ = 0;
    std::optional<core::pooler::Reader> reader_;
    std::string error_;
};

} // namespace wc::monitor::pooler

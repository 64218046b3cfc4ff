// Asynchronous libpq to PgBouncer's console.
#include "monitor/pooler_link.hpp"

#include <algorithm>
#include <utility>

#include <poll.h>

#include "libpq-fe.h"

extern "C" {
#include "storage/fd.h"
#include "storage/latch.h"
}

namespace wc::monitor::pooler {

namespace {

using core::pooler::Question;

// More rows than a pooler of this world has: the answer of something else, or of one that never ends.
constexpr int64 most_rows = 10000;

// Looks at a connection at rest, because something has come.
constexpr int most_unasked = 1000;

constexpr size_t error_size = 200;

const char *statement(Question question) {
    switch (question) {
    case Question::Pools:
        return "SHOW POOLS";
    case Question::Stats:
        return "SHOW STATS";
    case Question::Databases:
        return "SHOW DATABASES";
    }
    return "";
}

struct Clear {
    void operator()(PGresult *result) const { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, Clear>;

// What another process sent, for the log and a view: the first line of it, cut, and nothing that could be anything else
// than a line of text there.
std::string cleaned(const char *message) {
    std::string out(message, strcspn(message, "\r\n"));
    std::replace_if(
        out.begin(), out.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    out.resize(std::min(out.size(), error_size));
    return out;
}

// libpq would write what the other side says to the server's log.
void ignore_notice(void *, const PGresult *) {}

struct Free {
    void operator()(PQconninfoOption *options) const { PQconninfoFree(options); }
};

PGconn *start(const char *conninfo) {
    const std::unique_ptr<PQconninfoOption, Free> options(PQconninfoParse(conninfo, nullptr));
    std::vector<const char *> keywords;
    std::vector<const char *> values;
    const auto set = [&](const char *keyword, const char *value) {
        keywords.push_back(keyword);
        values.push_back(value);
    };
    set("dbname", "pgbouncer");
    set("fallback_application_name", "whitecross monitor");
    const char *host = nullptr;
    const char *address = DEFAULT_PGSOCKET_DIR;
    for (const PQconninfoOption *option = options.get(); option != nullptr && option->keyword != nullptr; ++option) {
        if (option->val == nullptr)
            continue;
        set(option->keyword, option->val);
        if (strcmp(option->keyword, "host") == 0)
            host = option->val;
        else if (strcmp(option->keyword, "hostaddr") == 0)
            address = option->val;
    }
    // Not the host of the server's environment: a name there would have to be resolved, and the passfile asked for it.
    if (host == nullptr)
        set("host", address);
    // What libpq would wait for, or ask PgBouncer for that has no answer to it.
    set("gssencmode", "disable");
    set("target_session_attrs", "any");
    set(nullptr, nullptr);
    return PQconnectStartParams(keywords.data(), values.data(), 0);
}

} // namespace

// The file descriptor is announced to the server, which counts its own.
Link::Link(const char *conninfo) : events_(WL_SOCKET_WRITEABLE) {
    if (!AcquireExternalFD())
        throw pg::Error(ERRCODE_INSUFFICIENT_RESOURCES, "no file descriptor is left to connect to PgBouncer with");
    connection_ = start(conninfo);
    if (connection_ == nullptr) {
        ReleaseExternalFD();
        throw std::bad_alloc();
    }
    PQsetNoticeReceiver(connection_, ignore_notice, nullptr);
    if (PQstatus(connection_) == CONNECTION_BAD)
        failed(connection_error());
}

Link::~Link() {
    PQfinish(connection_); // says goodbye where that needs no waiting
    ReleaseExternalFD();
}

Link::State Link::failed(const std::string &why) {
    error_ = why;
    more_ = false;
    return state_ = State::Failed;
}

std::string Link::connection_error() const {
    const std::string message = PQerrorMessage(connection_);
    const char *const password = PQpass(connection_);
    if (password != nullptr && *password != '\0' && message.find(password) != std::string::npos)
        return "it answered with the password";
    return message.empty() ? "the connection was lost" : cleaned(message.c_str());
}

pg::Awaited Link::awaited() const {
    if (state_ == State::Failed || more_ || PQsocket(connection_) < 0)
        return {};
    return {PQsocket(connection_), events_};
}

Link::State Link::advance(int rows) {
    switch (state_) {
    case State::Connecting:
        return connect();
    case State::Idle:
        return rest();
    case State::Asking:
        if (unsent_ && send() == State::Failed)
            return state_;
        return receive(rows);
    case State::Failed:
        break;
    }
    return state_;
}

// Whether the socket is ready for what is awaited.
bool Link::is_ready() const {
    const bool reading = (events_ & WL_SOCKET_READABLE) != 0;
    pollfd socket = {PQsocket(connection_), static_cast<short>(reading ? POLLIN : POLLOUT), 0};
    return poll(&socket, 1, 0) != 0;
}

// Only where the socket is ready: libpq takes a connection for made when it is asked to go on, and would wait for it.
Link::State Link::connect() {
    if (!is_ready())
        return state_;
    switch (PQconnectPoll(connection_)) {
    case PGRES_POLLING_READING:
        events_ = WL_SOCKET_READABLE;
        return state_;
    case PGRES_POLLING_WRITING:
        events_ = WL_SOCKET_WRITEABLE;
        return state_;
    case PGRES_POLLING_OK: // not earlier: it would forget with whom it failed to connect
        if (PQsetnonblocking(connection_, 1) != 0)
            return failed(connection_error());
        events_ = WL_SOCKET_READABLE;
        return state_ = State::Idle;
    default:
        return failed(connection_error());
    }
}

// Nothing is expected but the connection's end; messages that need no answer are let pass, up to a number.
Link::State Link::rest() {
    if (PQconsumeInput(connection_) == 0 || PQstatus(connection_) != CONNECTION_OK)
        return failed(connection_error());
    (void)PQisBusy(connection_);
    if (++unasked_ > most_unasked)
        return failed("it sends what it was not asked for");
    return state_;
}

void Link::ask(Question question, core::pooler::Answer &answer) {
    reader_.emplace(question, answer);
    titled_ = answered_ = false;
    rows_ = 0;
    unasked_ = 0;
    if (PQsendQuery(connection_, statement(question)) == 0 || PQsetSingleRowMode(connection_) == 0) {
        failed(connection_error());
        return;
    }
    state_ = State::Asking;
    send();
}

Link::State Link::send() {
    const int left = PQflush(connection_);
    if (left < 0)
        return failed(connection_error());
    unsent_ = left > 0;
    events_ = WL_SOCKET_READABLE | (unsent_ ? WL_SOCKET_WRITEABLE : 0);
    return state_;
}

Link::State Link::receive(int rows) {
    if (!std::exchange(more_, false) && PQconsumeInput(connection_) == 0)
        return failed(connection_error());
    for (int taken = 0; PQisBusy(connection_) == 0; ++taken) {
        if (taken >= rows) {
            more_ = true;
            return state_;
        }
        const Result result(PQgetResult(connection_));
        if (result == nullptr) {
            if (!answered_)
                return failed("it gave no answer");
            return state_ = State::Idle;
        }
        take(result.get());
        if (state_ == State::Failed)
            return state_;
    }
    return state_;
}

void Link::take(const PGresult *result) {
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_SINGLE_TUPLE && status != PGRES_TUPLES_OK) {
        const char *const message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
        const char *const password = PQpass(connection_);
        const bool told = message != nullptr && (password == nullptr || *password == '\0' ||
                                                 std::string_view(message).find(password) == std::string::npos);
        failed(status == PGRES_FATAL_ERROR && message == nullptr ? connection_error()
               : told                                            ? "it refused: " + cleaned(message)
                                                                 : "it answered with something else than rows");
        return;
    }
    if (!std::exchange(titled_, true)) {
        std::vector<std::string_view> names;
        for (int i = 0; i < PQnfields(result); ++i)
            names.emplace_back(PQfname(result, i));
        reader_->columns(names);
    }
    for (int r = 0; r < PQntuples(result) && reader_->error() == nullptr; ++r) {
        std::vector<core::pooler::Cell> cells;
        for (int i = 0; i < PQnfields(result); ++i) {
            if (PQgetisnull(result, r, i) != 0)
                cells.emplace_back();
            else
                cells.emplace_back(std::string_view(PQgetvalue(result, r, i), PQgetlength(result, r, i)));
        }
        reader_->row(cells);
        if (++rows_ > most_rows) {
            failed("its answer has too many rows");
            return;
        }
    }
    answered_ = answered_ || status == PGRES_TUPLES_OK;
    if (reader_->error() != nullptr)
        failed(reader_->error());
}

} // namespace wc::monitor::pooler

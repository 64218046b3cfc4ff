// A connection to a Redis, through hiredis.
#include "cache/redis_link.hpp"

#include "cache/key_file.hpp"

#include <cerrno>
#include <cstring>
#include <new>
#include <vector>

#include <poll.h>
#include <sys/socket.h>

#include <hiredis/hiredis.h>
#include <openssl/crypto.h>

namespace wc::cache::redis {

namespace {

using Kind = Answer::Kind;

// Of what comes besides the answer itself: its length, and the answers to greetings.
constexpr size_t largest_head = 4096;

constexpr size_t longest_word = 16;

bool fail(Answer &answer, Kind kind, const char *why) {
    answer = {kind, {}, why};
    return false;
}

bool fail_with(Answer &answer, const char *what, int error) {
    char reason[64] = "";
    answer = {Kind::Unusable, {}, std::string(what) + ": " + strerror_r(error, reason, sizeof(reason))};
    return false;
}

// The word that an error of Redis' begins with ("WRONGTYPE"): the rest may be anything.
std::string_view first_word(std::string_view message) {
    size_t size = 0;
    while (size < message.size() && message[size] >= 'A' && message[size] <= 'Z')
        ++size;
    if (size == 0 || size > longest_word || (size < message.size() && message[size] != ' '))
        return "an error";
    return message.substr(0, size);
}

// What hiredis' reader makes of a reply: never a tree of its own, of which a reply says how large it is. None of these
// may throw.
struct Reply {
    int type = 0; // 0: none, or one that answers nothing of ours
    bool no_memory = false;
    std::string text;
};

void *take_text(const redisReadTask *task, char *text, size_t size) {
    auto *const reply = static_cast<Reply *>(task->privdata);
    try {
        reply->text.assign(text, size);
    } catch (const std::bad_alloc &) {
        reply->no_memory = true;
        return nullptr; // the reader's own word for it
    }
    reply->type = task->type;
    return reply;
}

void *take_nil(const redisReadTask *task) {
    auto *const reply = static_cast<Reply *>(task->privdata);
    reply->type = REDIS_REPLY_NIL;
    return reply;
}

void *take_integer(const redisReadTask *task, long long) {
    return task->privdata;
}

void keep(void *) {}

redisReplyObjectFunctions reader_functions() {
    redisReplyObjectFunctions functions = {};
    functions.createString = take_text;
    functions.createArray = [](const redisReadTask *, auto) -> void * {
        return nullptr;
    }; // none of ours is answered so
    functions.createInteger = take_integer;
    functions.createNil = take_nil;
    functions.freeObject = keep;
    return functions;
}

redisReplyObjectFunctions functions = reader_functions(); // not constant: the reader wants to be able to write it

} // namespace

// What is asked, until it is answered: any other way out leaves a connection on which something may still come.
class Link::Exchange {
  public:
    explicit Exchange(Link &link) : link_(link) {}
    Exchange(const Exchange &) = delete;
    Exchange &operator=(const Exchange &) = delete;
    ~Exchange() {
        if (!answered_)
            link_.disconnect();
    }
    void answered() { answered_ = true; }

  private:
    Link &link_;
    bool answered_ = false;
};

Link::~Link() {
    disconnect();
}

void Link::disconnect() noexcept {
    if (context_ != nullptr)
        redisFree(context_);
    context_ = nullptr;
}

Answer Link::get(std::string_view key, const Limits &limits) {
    return ask({"GET", key}, limits);
}

Answer Link::set(std::string_view key, std::string_view value, std::int64_t ttl_ms, const Limits &limits) {
    return ask({"SET", key, value, "PX", std::to_string(ttl_ms)}, limits);
}

Answer Link::ask(Words words, const Limits &limits) {
    Answer answer;
    limits.interrupts();
    if (context_ != nullptr) {
        // At rest nothing can come but its end, or what was not asked for.
        pollfd socket = {context_->fd, POLLIN, 0};
        if (poll(&socket, 1, 0) != 0)
            disconnect();
    }
    Exchange exchange(*this);
    int answers = 1;
    if (context_ == nullptr && (!connect(limits, answer) || !greet(answer, answers)))
        return answer;
    append(words);
    const Time deadline = std::chrono::steady_clock::now() + limits.timeout;
    if (!send(deadline, limits, answer))
        return answer;
    for (; answers > 1; --answers) {
        if (!receive(deadline, limits, answer))
            return answer;
        if (answer.kind == Kind::Refused) {
            fail(answer, Kind::Unusable, ("it does not let the server in: " + answer.text).c_str());
            return answer;
        }
        if (answer.kind != Kind::Done) {
            fail(answer, Kind::Unusable, "its answer is none");
            return answer;
        }
    }
    if (!receive(deadline, limits, answer))
        return answer;
    const Kind wanted = words.size() == 2 ? Kind::Text : Kind::Done;
    if (answer.kind != Kind::Refused && answer.kind != wanted &&
        !(wanted == Kind::Text && answer.kind == Kind::Nothing)) {
        fail(answer, Kind::Unusable, "its answer is none");
        return answer;
    }
    if (context_->reader->pos != context_->reader->len) {
        fail(answer, Kind::Unusable, "it sends what it was not asked for");
        return answer;
    }
    exchange.answered();
    return answer;
}

bool Link::connect(const Limits &limits, Answer &answer) {
    const Time deadline = std::chrono::steady_clock::now() + limits.timeout;
    context_ = address_.is_socket() ? redisConnectUnixNonBlock(address_.host.c_str())
                                    : redisConnectNonBlock(address_.host.c_str(), address_.port);
    if (context_ == nullptr)
        throw std::bad_alloc();
    if (context_->err != 0)
        return context_->err == REDIS_ERR_IO ? fail_with(answer, "it can't be reached", errno)
                                             : fail(answer, Kind::Unusable, "it can't be reached");
    context_->reader->fn = &functions;
    if (!wait(POLLOUT, deadline, limits, answer))
        return false;
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(context_->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        error = errno;
    return error == 0 || fail_with(answer, "it can't be reached", error);
}

// Sent along with the first command: a connection costs no time of its own. answers: how many come, more by these.
bool Link::greet(Answer &answer, int &answers) {
    if (!address_.passfile.empty()) {
        std::string password;
        if (const char *const problem = key_file::read_password(address_.passfile.c_str(), password);
            problem != nullptr)
            return fail(answer, Kind::Unusable, (std::string("its passfile ") + problem).c_str());
        if (address_.user.empty())
            append({"AUTH", password});
        else
            append({"AUTH", address_.user, password});
        OPENSSL_cleanse(password.data(), password.size());
        ++answers;
    }
    if (address_.db != 0) {
        append({"SELECT", std::to_string(address_.db)});
        ++answers;
    }
    return true;
}

void Link::append(Words words) {
    std::vector<const char *> texts;
    std::vector<size_t> sizes;
    for (const std::string_view word : words) {
        texts.push_back(word.data());
        sizes.push_back(word.size());
    }
    if (redisAppendCommandArgv(context_, static_cast<int>(texts.size()), texts.data(), sizes.data()) != REDIS_OK)
        throw std::bad_alloc();
}

bool Link::send(Time deadline, const Limits &limits, Answer &answer) {
    for (int done = 0;;) {
        if (redisBufferWrite(context_, &done) != REDIS_OK)
            return fail(answer, Kind::Unusable, "the connection was lost");
        if (done != 0)
            return true;
        if (!wait(POLLOUT, deadline, limits, answer))
            return false;
    }
}

bool Link::receive(Time deadline, const Limits &limits, Answer &out) {
    Reply reply;
    context_->reader->privdata = &reply;
    for (;;) {
        void *got = nullptr;
        if (redisReaderGetReply(context_->reader, &got) != REDIS_OK) {
            if (reply.no_memory)
                throw std::bad_alloc();
            return fail(out, Kind::Unusable, "its answer is none");
        }
        if (got != nullptr)
            break;
        if (context_->reader->len - context_->reader->pos > limits.largest + largest_head)
            return fail(out, Kind::Unusable, "its answer is too long");
        if (!wait(POLLIN, deadline, limits, out))
            return false;
        if (redisBufferRead(context_) != REDIS_OK)
            return fail(out, Kind::Unusable, "the connection was lost");
    }
    switch (reply.type) {
    case REDIS_REPLY_STRING:
        out = {Kind::Text, std::move(reply.text), {}};
        return true;
    case REDIS_REPLY_NIL:
        out = {Kind::Nothing, {}, {}};
        return true;
    case REDIS_REPLY_ERROR:
        out = {Kind::Refused, std::string(first_word(reply.text)), {}};
        out.why = "it refused: " + out.text;
        return true;
    case REDIS_REPLY_STATUS:
        if (reply.text == "OK") {
            out = {Kind::Done, {}, {}};
            return true;
        }
        break;
    default:
        break;
    }
    return fail(out, Kind::Unusable, "its answer is none");
}

bool Link::wait(short events, Time deadline, const Limits &limits, Answer &answer) {
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        if (left.count() <= 0)
            return fail(answer, Kind::TimedOut, "it did not answer in time");
        pollfd socket = {context_->fd, events, 0};
        const int ready = poll(&socket, 1, static_cast<int>(left.count()));
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return fail_with(answer, "its socket can't be waited for", errno);
        limits.interrupts();
    }
}

} // namespace wc::cache::redis

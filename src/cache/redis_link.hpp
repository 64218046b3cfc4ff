// A connection to a Redis, through hiredis: one command, one answer, each within a time. The socket never blocks; what
// is waited for is a deadline, so that an answer in drips takes no longer than one in a piece. Knows nothing of the
// server.
#pragma once

#include "core/redis_address.hpp"

#include <chrono>
#include <initializer_list>
#include <string>
#include <string_view>

struct redisContext;

namespace wc::cache::redis {

struct Limits {
    std::chrono::milliseconds timeout; // to connect, and then once more for the answer
    size_t largest;                    // bytes that an answer may have
    void (*interrupts)();              // called before and while it waits; may throw
};

struct Answer {
    enum class Kind {
        Text,     // what was asked for
        Nothing,  // there is no such key
        Done,     // taken
        Refused,  // an error of Redis', of this command alone; text: its first word
        Unusable, // it can't be reached, doesn't let us in, closes the connection, or says what is no answer
        TimedOut,
    };
    Kind kind = Kind::Unusable;
    std::string text;
    // Unless there is an answer: why, printable ASCII, without anything that Redis sent but the word of an error.
    std::string why;
};

class Link {
  public:
    explicit Link(core::RedisAddress address) : address_(std::move(address)) {}
    Link(const Link &) = delete;
    Link &operator=(const Link &) = delete;
    ~Link();

    // They connect where there is no connection, or it was closed since. Throw std::bad_alloc, and what interrupts()
    // throws; the connection is closed then, as it is where there is no answer.
    Answer get(std::string_view key, const Limits &limits);
    Answer set(std::string_view key, std::string_view value, std::int64_t ttl_ms, const Limits &limits);

    [[nodiscard]] bool connected() const { return context_ != nullptr; }
    [[nodiscard]] const core::RedisAddress &address() const { return address_; }

  private:
    using Time = std::chrono::steady_clock::time_point;
    using Words = std::initializer_list<std::string_view>;
    class Exchange;

    Answer ask(Words words, const Limits &limits);
    bool connect(const Limits &limits, Answer &answer);
    bool greet(Answer &answer, int &answers);
    void append(Words words);
    bool send(Time deadline, const Limits &limits, Answer &answer);
    bool receive(Time deadline, const Limits &limits, Answer &out);
    bool wait(short events, Time deadline, const Limits &limits, Answer &answer);
    void disconnect() noexcept;

    core::RedisAddress address_;
    redisContext *context_ = nullptr;
};

} // namespace wc::cache::redis

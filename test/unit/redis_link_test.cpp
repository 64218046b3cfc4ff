// The connection to a Redis, against servers that say what these tests want: in pieces, too much, nonsense, nothing.
#include "cache/redis_link.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <deque>
#include <fstream>
#include <stdexcept>
#include <thread>

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

namespace redis = wc::cache::redis;
using Kind = redis::Answer::Kind;
using namespace std::chrono_literals;

// Answers each piece that it reads with the next of its texts; keeps silent when it has none, until the other side goes
// away.
class Server {
  public:
    struct Says {
        std::string text;
        size_t step = 0;     // bytes sent at once; 0: all
        bool closes = false; // afterwards
    };

    Server() {
        signal(SIGPIPE, SIG_IGN);
        std::string place = testing::TempDir() + "redis_link.XXXXXX";
        if (mkdtemp(place.data()) == nullptr)
            throw std::runtime_error("no folder");
        folder = place;
        address.host = folder + "/socket";
        address.passfile.clear();
        sockaddr_un name = {};
        name.sun_family = AF_UNIX;
        strncpy(name.sun_path, address.host.c_str(), sizeof(name.sun_path) - 1);
        listener = socket(AF_UNIX, SOCK_STREAM, 0);
        if (bind(listener, reinterpret_cast<sockaddr *>(&name), sizeof(name)) != 0 || listen(listener, 5) != 0)
            throw std::runtime_error("no socket");
    }
    Server(const Server &) = delete;
    Server &operator=(const Server &) = delete;
    ~Server() {
        shutdown(listener, SHUT_RDWR);
        if (thread.joinable())
            thread.join();
        close(listener);
        unlink(address.host.c_str());
        unlink((folder + "/pass").c_str());
        rmdir(folder.c_str());
    }
    void start(std::deque<Says> texts) {
        thread = std::thread([this, texts = std::move(texts)]() mutable { serve(texts); });
    }

    std::string folder;
    wc::core::RedisAddress address;
    std::string heard; // to be looked at when the other side has gone
    std::atomic<int> connections = 0;

  private:
    void serve(std::deque<Says> &texts) {
        for (int client = accept(listener, nullptr, nullptr); client >= 0;
             client = accept(listener, nullptr, nullptr)) {
            ++connections;
            char buffer[65536];
            for (ssize_t got = 0; (got = read(client, buffer, sizeof(buffer))) > 0;) {
                heard.append(buffer, static_cast<size_t>(got));
                if (texts.empty())
                    continue;
                const Says says = texts.front();
                texts.pop_front();
                const size_t step = says.step != 0 ? says.step : says.text.size();
                for (size_t at = 0; at < says.text.size(); at += step)
                    if (send(client, says.text.data() + at, std::min(step, says.text.size() - at), MSG_NOSIGNAL) < 0)
                        break;
                if (says.closes)
                    break;
            }
            close(client);
        }
    }

    int listener = -1;
    std::thread thread;
};

void never() {}
constexpr redis::Limits patient = {10s, 1000000, never};
constexpr redis::Limits hasty = {50ms, 1000000, never};

redis::Answer answer_of(const std::string &text, const redis::Limits &limits = patient, size_t step = 0) {
    Server server;
    redis::Link link(server.address);
    server.start({{text, step, true}});
    redis::Answer answer = link.get("key", limits);
    EXPECT_EQ(link.connected(), answer.kind != Kind::Unusable && answer.kind != Kind::TimedOut) << text;
    return answer;
}

TEST(RedisLink, TakesAnswers) {
    EXPECT_EQ(answer_of(std::string("$5\r\na\r\n\0b\r\n", 11)).text, std::string("a\r\n\0b", 5));
    EXPECT_EQ(answer_of("$0\r\n\r\n").kind, Kind::Text);
    EXPECT_EQ(answer_of("$-1\r\n").kind, Kind::Nothing);
    const std::string large(900000, 'x');
    EXPECT_EQ(answer_of("$900000\r\n" + large + "\r\n").text, large);
    EXPECT_EQ(answer_of("$7\r\nin bits\r\n", patient, 1).text, "in bits");
}

TEST(RedisLink, ErrorsAreOneWord) {
    const redis::Answer refused = answer_of("-WRONGTYPE the key Geheim holds a list\r\n");
    EXPECT_EQ(refused.kind, Kind::Refused);
    EXPECT_EQ(refused.text, "WRONGTYPE");
    EXPECT_EQ(refused.why, "it refused: WRONGTYPE");
    for (const char *text : {"-Geheim\r\n", "-GEHEIM_1 x\r\n", "-\r\n", "-ABCDEFGHIJKLMNOPQ\r\n"})
        EXPECT_EQ(answer_of(text).text, "an error") << text;
}

TEST(RedisLink, NonsenseIsNoAnswer) {
    for (const char *text : {
             "",                    // closed
             "$5\r\nab",            // in the middle
             "HTTP/1.1 200 OK\r\n", // another protocol
             "$x\r\n",              // no number
             "$-2\r\n",             //
             "+OK\r\n",             // an answer to something else
             ":1\r\n",              //
             "*1\r\n$1\r\na\r\n",   //
             "*0\r\n",              //
             "*-1\r\n+x\r\n",       //
             "*2147483647\r\n",     // would be 16 GB
             "*9223372036854775807\r\n",
             "$1\r\nab\r\n", // longer than it says
             "$1\r\na\r\n$1\r\nb\r\n",
             "$1\r\na\r\n\r\n",
         })
        EXPECT_EQ(answer_of(text).kind, Kind::Unusable) << text;
}

TEST(RedisLink, LengthsAreBounded) {
    constexpr redis::Limits small = {10s, 1000, never};
    EXPECT_EQ(answer_of("$1000\r\n" + std::string(1000, 'x') + "\r\n", small).kind, Kind::Text);
    EXPECT_EQ(answer_of("$1000000\r\n" + std::string(1000000, 'x') + "\r\n", small).why, "its answer is too long");
    EXPECT_EQ(answer_of("+" + std::string(1000000, 'x'), small).why, "its answer is too long");
}

TEST(RedisLink, TakesNoLongerThanItMay) {
    Server server;
    redis::Link link(server.address);
    server.start({{"$9223372036854775807\r\nabc"}, {"$1\r\nb\r\n"}});
    const auto begun = std::chrono::steady_clock::now();
    EXPECT_EQ(link.get("key", hasty).kind, Kind::TimedOut);
    EXPECT_GE(std::chrono::steady_clock::now() - begun, hasty.timeout);
    EXPECT_FALSE(link.connected());
    EXPECT_EQ(link.get("key", patient).text, "b"); // by a connection on which no late answer can come
}

TEST(RedisLink, SaysWhatItIsAsked) {
    Server server;
    {
        redis::Link link(server.address);
        server.start({{"$1\r\na\r\n"}, {"+OK\r\n"}, {"$1\r\nb\r\n"}});
        EXPECT_EQ(link.get("k1", patient).text, "a");
        EXPECT_EQ(link.set("k2", std::string("v\0v", 3), 1500, patient).kind, Kind::Done);
        EXPECT_EQ(link.get("k3", patient).text, "b");
        EXPECT_EQ(server.connections, 1);
    }
    using namespace std::string_literals;
    EXPECT_EQ(server.heard, "*2\r\n$3\r\nGET\r\n$2\r\nk1\r\n"
                            "*5\r\n$3\r\nSET\r\n$2\r\nk2\r\n$3\r\nv\0v\r\n$2\r\nPX\r\n$4\r\n1500\r\n"
                            "*2\r\n$3\r\nGET\r\n$2\r\nk3\r\n"s);
}

TEST(RedisLink, LogsIn) {
    Server server;
    server.address.passfile = server.folder + "/pass";
    server.address.user = "cache";
    server.address.db = 3;
    {
        redis::Link link(server.address);
        EXPECT_EQ(link.get("k", patient).why, "its passfile does not exist");
        std::ofstream(server.address.passfile) << "Geheim\n";
        ASSERT_EQ(chmod(server.address.passfile.c_str(), 0600), 0);
        server.start({{"+OK\r\n+OK\r\n$1\r\na\r\n"},
                      {"", 0, true},
                      {"-WRONGPASS Geheim is wrong\r\n-NOAUTH no\r\n-NOAUTH no\r\n"},
                      {"+OK\r\n-ERR no such database\r\n$1\r\na\r\n"}});
        EXPECT_EQ(link.get("k", patient).text, "a");
        EXPECT_EQ(link.get("k", patient).kind, Kind::Unusable); // closed
        EXPECT_EQ(link.get("k", patient).why, "it does not let the server in: WRONGPASS");
        EXPECT_EQ(link.get("k", patient).why, "it does not let the server in: ERR");
    }
    EXPECT_EQ(
        server.heard.find(
            "*3\r\n$4\r\nAUTH\r\n$5\r\ncache\r\n$6\r\nGeheim\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n*2\r\n$3\r\nGET\r\n"),
        0U);
}

TEST(RedisLink, FindsOutThatItWasClosedBeforeItAsks) {
    Server server;
    redis::Link link(server.address);
    server.start({{"$1\r\na\r\n", 0, true}, {"$1\r\nb\r\n"}});
    EXPECT_EQ(link.get("k", patient).text, "a");
    pollfd nothing = {-1, 0, 0};
    while (server.connections == 1 && link.get("k", patient).text != "b") // the end of the first comes when it comes
        (void)poll(&nothing, 1, 1);
    EXPECT_EQ(server.connections, 2);
}

TEST(RedisLink, IsInterruptedWhileItWaits) {
    struct Interrupted {};
    Server server;
    redis::Link link(server.address);
    static int looks;
    looks = 0;
    server.start({});
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    ASSERT_EQ(sigaction(SIGALRM, &action, nullptr), 0); // without SA_RESTART
    const pthread_t self = pthread_self();
    std::atomic<bool> over = false;
    std::thread alarm([&] {
        for (pollfd nothing = {-1, 0, 0}; !over; pthread_kill(self, SIGALRM))
            (void)poll(&nothing, 1, 20);
    });
    const redis::Limits limits = {10s, 1000, [] {
                                      if (++looks > 1)
                                          throw Interrupted();
                                  }};
    EXPECT_THROW((void)link.get("k", limits), Interrupted);
    over = true;
    alarm.join();
    EXPECT_FALSE(link.connected());
}

TEST(RedisLink, IsNotThere) {
    wc::core::RedisAddress nowhere;
    nowhere.host = "/nonexistent/socket";
    redis::Link link(nowhere);
    EXPECT_EQ(link.get("k", patient).why, "it can't be reached: No such file or directory");
    wc::core::RedisAddress closed;
    closed.host = "127.0.0.1";
    closed.port = 1;
    redis::Link other(closed);
    EXPECT_EQ(other.get("k", patient).why, "it can't be reached: Connection refused");
    wc::core::RedisAddress six;
    six.host = "::1";
    six.port = 1;
    redis::Link third(six);
    EXPECT_EQ(third.get("k", patient).why.find("it can't be reached: "), 0U);
}

} // namespace

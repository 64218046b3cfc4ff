// The second tier of the result cache: what is asked of Redis, whether to ask it, and what an answer is worth.
#include "cache/second_tier.hpp"

#include "cache/generations.hpp"
#include "cache/redis_link.hpp"
#include "cache/seal.hpp"
#include "cache/secret.hpp"
#include "cache/stats.hpp"
#include "cache/store.hpp"
#include "cache/tier_keys.hpp"
#include "core/breaker.hpp"
#include "core/tier_value.hpp"
#include "pg/clock.hpp"
#include "pg/guard.hpp"
#include "pg/guc_cache.hpp"
#include "pg/guc_redis.hpp"
#include "pg/hooks.hpp"
#include "pg/locked.hpp"

#include <algorithm>

extern "C" {
#include "storage/fd.h"
#include "utils/wait_event.h"
}

namespace wc::cache::second_tier {

namespace {

namespace settings = pg::settings::redis;
namespace tier = core::tier;
using core::Breaker;
using redis::Answer;
using stats::Counter;
using Kind = Answer::Kind;

// Redis forgets what nobody can ask for any more, after a restart of this server.
constexpr int64 longest_ms = 86400000;

// What all processes know of it.
struct Board {
    LWLock *lock;
    uint64 address; // a hash of where it is: the breaker is of that one, and not of one that another setting names
    Breaker breaker;
    char last_error[sizeof(Status::last_error)];
};
Board *board = nullptr;

Size board_size() {
    return sizeof(Board);
}

void start(void *memory, LWLock *lock, bool fresh) {
    board = static_cast<Board *>(memory);
    if (!fresh)
        return;
    *board = Board();
    board->lock = lock;
}

// What this one has.
struct Mine {
    std::string conninfo; // that the link was made for
    std::unique_ptr<redis::Link> link;
    bool descriptor = false; // is announced to the server, which counts its own
    TierKeys keys;
};

Mine &mine() {
    static Mine *const it = new Mine;
    return *it;
}

void note_error(const char *what) {
    const pg::Locked locked(board->lock);
    strlcpy(board->last_error, what, sizeof(board->last_error));
}

const char *setting(const char *value) {
    return value != nullptr ? value : "";
}

uint64 address_now() {
    return std::hash<std::string_view>()(setting(settings::conninfo));
}

// A link to where the setting says, connected or not; null where there is no descriptor left to connect with.
redis::Link *link_of(Mine &it) {
    const char *const conninfo = setting(settings::conninfo);
    if (it.link == nullptr || it.conninfo != conninfo) {
        core::RedisAddress address;
        if (core::parse_redis_address(conninfo, address) != nullptr)
            return nullptr;
        it.link = std::make_unique<redis::Link>(std::move(address));
        it.conninfo = conninfo;
    }
    if (!it.descriptor)
        it.descriptor = AcquireExternalFD();
    return it.descriptor ? it.link.get() : nullptr;
}

// What a session waits for is seen in pg_stat_activity; whatever ends it.
class Waiting {
  public:
    Waiting() { pgstat_report_wait_start(PG_WAIT_EXTENSION); }
    Waiting(const Waiting &) = delete;
    Waiting &operator=(const Waiting &) = delete;
    ~Waiting() { pgstat_report_wait_end(); }
};

redis::Limits limits() {
    const size_t rows = static_cast<size_t>(pg::settings::cache::max_entry) * 1024;
    return {std::chrono::milliseconds(settings::timeout), rows + tier::most_overhead + seal::overhead,
            [] { pg::check_for_interrupts(); }};
}

// Whether an error of one command tells of Redis as a whole: not one of this key, nor one that only keeps it from
// storing.
bool is_down(const std::string &word) {
    for (const char *const each : {"WRONGTYPE", "OOM", "MISCONF", "READONLY", "NOREPLICAS"})
        if (word == each)
            return false;
    return true;
}

// What came of it is told to the others, and counted where it is no answer.
void take_in(const core::breaker::Leave &leave, const Answer &answer) {
    const bool refused = answer.kind == Kind::Refused;
    const bool failed =
        answer.kind == Kind::Unusable || answer.kind == Kind::TimedOut || (refused && is_down(answer.text));
    {
        const pg::Locked locked(board->lock);
        if (failed)
            core::breaker::failed(board->breaker, leave, pg::clock::milliseconds(), answer.kind == Kind::TimedOut);
        else
            core::breaker::succeeded(board->breaker, leave);
        if (failed || refused)
            strlcpy(board->last_error, answer.why.c_str(), sizeof(board->last_error));
    }
    if (answer.kind == Kind::TimedOut)
        stats::count(Counter::SecondTimeouts);
    else if (failed || refused)
        stats::count(Counter::SecondErrors);
}

// Asks, if it's to be asked; nothing: it wasn't. f gets the link.
template <typename F> std::optional<Answer> ask(Mine &it, const F &f) {
    core::breaker::Leave leave;
    {
        const pg::Locked locked(board->lock);
        const uint64 address = address_now();
        if (board->address != address) {
            board->address = address;
            board->breaker = {};
        }
        leave = core::breaker::ask(board->breaker, pg::clock::milliseconds(), 3 * settings::timeout + 1000);
    }
    if (!leave.given)
        return std::nullopt;
    redis::Link *const link = link_of(it);
    if (link == nullptr) {
        note_error("there is no file descriptor left to connect with");
        stats::count(Counter::SecondErrors);
        return std::nullopt;
    }
    const Waiting waiting;
    Answer answer = f(*link);
    take_in(leave, answer);
    return answer;
}

// What Redis sees of a name.
std::string key_of(const Name &name) {
    static const char digits[] = "0123456789abcdef";
    std::string key = "whitecross:";
    for (const unsigned char byte : name.bytes) {
        key += digits[byte >> 4];
        key += digits[byte & 15];
    }
    return key;
}

// Whatever fails here but the statement itself costs the second tier, not the statement.
template <typename F> bool despite_faults(const F &f) {
    try {
        return f();
    } catch (const std::bad_alloc &) {
        note_error("there was no memory for a value");
    } catch (const std::runtime_error &error) {
        note_error(error.what());
    }
    stats::count(Counter::SecondErrors);
    return false;
}

// What was opened, if it is good now.
bool take(const tier::Value &value, bool tagged, Found &found) {
    const tier::Head &head = value.head;
    const int64 now = pg::clock::milliseconds();
    if (head.expires <= now || ((tagged || head.tagged != 0) && store::forgotten(head.since)))
        return false;
    for (size_t i = 0; i < head.dependencies; ++i) {
        const tier::Dependency each = value.dependency(i);
        found.dependencies.push_back({each.cell, each.generation});
    }
    for (size_t i = 0; i < head.tables; ++i)
        found.tables.push_back(value.table(i));
    Entry &entry = found.entry;
    entry.since = head.since;
    entry.ttl_ms = head.expires - now;
    entry.cost_ms = head.cost_ms;
    entry.tagged = head.tagged != 0;
    entry.dependencies = found.dependencies.data();
    entry.dependency_count = found.dependencies.size();
    entry.tables = found.tables.data();
    entry.table_count = found.tables.size();
    entry.bytes = value.rows.data();
    entry.size = value.rows.size();
    return generations::unchanged(entry.dependencies, entry.dependency_count);
}

bool open(const Mine &it, const std::string &key, const std::string &sealed, bool tagged, Found &found) {
    const seal::Opened opened = seal::open(it.keys.all(), key, sealed, found.plain);
    if (opened == seal::Opened::UnknownKey)
        return false; // of before a key was taken away
    const auto value = opened == seal::Opened::Yes ? tier::read(found.plain) : std::nullopt;
    if (!value.has_value()) {
        note_error("a value is not what this server has stored");
        stats::count(Counter::SecondErrors);
        return false;
    }
    return take(*value, tagged, found);
}

std::string value_of(const Entry &entry) {
    tier::Head head;
    head.since = entry.since;
    head.expires = pg::clock::milliseconds() + entry.ttl_ms;
    head.cost_ms = entry.cost_ms;
    head.tagged = entry.tagged ? 1 : 0;
    head.tables = static_cast<uint32>(entry.table_count);
    head.dependencies = entry.dependency_count;
    head.size = entry.size;
    std::string value = tier::begin(head);
    for (size_t i = 0; i < entry.dependency_count; ++i)
        tier::put_dependency(value, {entry.dependencies[i].generation, entry.dependencies[i].cell});
    for (size_t i = 0; i < entry.table_count; ++i)
        tier::put_table(value, entry.tables[i]);
    value.append(static_cast<const char *>(entry.bytes), entry.size);
    return value;
}

} // namespace

bool configured() noexcept {
    return board != nullptr && secret::made() && *setting(settings::conninfo) != '\0';
}

Name name_of(const Digest &digest, const Dependency *known, size_t count) {
    std::string generations;
    for (size_t i = 0; i < count; ++i) {
        generations.append(reinterpret_cast<const char *>(&known[i].cell), sizeof(known[i].cell));
        generations.append(reinterpret_cast<const char *>(&known[i].generation), sizeof(known[i].generation));
    }
    const std::string_view parts[] = {{reinterpret_cast<const char *>(digest.bytes.data()), digest.bytes.size()},
                                      generations};
    return {secret::code_of("second tier names", parts, std::size(parts))};
}

bool fetch(const Name &name, bool tagged, Found &found) {
    if (!configured())
        return false;
    return despite_faults([&] {
        Mine &it = mine();
        if (!it.keys.ready())
            return false;
        const std::string key = key_of(name);
        const auto answer = ask(it, [&](redis::Link &link) { return link.get(key, limits()); });
        if (!answer.has_value())
            return false;
        const bool hit = answer->kind == Kind::Text && open(it, key, answer->text, tagged, found);
        if (answer->kind == Kind::Text || answer->kind == Kind::Nothing)
            stats::count(hit ? Counter::SecondHits : Counter::SecondMisses);
        return hit;
    });
}

void keep(const Name &name, const Entry &entry) {
    if (!configured() || entry.ttl_ms <= 0 || entry.dependency_count > tier::most_dependencies ||
        entry.table_count > tier::most_dependencies ||
        entry.size > static_cast<size_t>(pg::settings::cache::max_entry) * 1024)
        return;
    despite_faults([&] {
        Mine &it = mine();
        if (!it.keys.ready())
            return false;
        const std::string key = key_of(name);
        const std::string sealed = seal::close(it.keys.all().front(), key, value_of(entry));
        const auto answer = ask(
            it, [&](redis::Link &link) { return link.set(key, sealed, std::min(entry.ttl_ms, longest_ms), limits()); });
        if (answer.has_value() && answer->kind == Kind::Done)
            stats::count(Counter::SecondStores);
        return true;
    });
}

Status status() {
    Status status;
    if (!configured())
        return status;
    {
        const pg::Locked locked(board->lock, LW_SHARED);
        memcpy(status.last_error, board->last_error, sizeof(status.last_error));
        const Breaker breaker = board->address == address_now() ? board->breaker : Breaker();
        switch (core::breaker::shown(breaker, pg::clock::milliseconds())) {
        case Breaker::State::Closed:
            status.state = State::Up;
            break;
        case Breaker::State::Open:
            status.state = State::Down;
            break;
        case Breaker::State::Probing:
            status.state = State::Probing;
            break;
        }
    }
    Mine &it = mine();
    if (!it.keys.ready()) {
        status.state = State::NoKeys;
        strlcpy(status.last_error, (std::string("whitecross.redis_key_file ") + it.keys.problem()).c_str(),
                sizeof(status.last_error));
    }
    return status;
}

void init() {
    if (pg::hooks::server_is_starting())
        pg::hooks::shared_memory({"whitecross cache second tier", board_size, start});
}

} // namespace wc::cache::second_tier

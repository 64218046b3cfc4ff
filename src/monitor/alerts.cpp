// The board of alerts.
//
// What runs under its lock neither allocates nor raises; the lock is a leaf.
#include "monitor/alerts.hpp"

#include "core/alert_text.hpp"
#include "monitor/alert_notice.hpp"
#include "monitor/visit.hpp"
#include "observe/encoding.hpp"
#include "observe/observe.hpp"
#include "pg/clock.hpp"
#include "pg/guc_alerts.hpp"
#include "pg/hooks.hpp"
#include "pg/locked.hpp"

#include <algorithm>
#include <cstring>

extern "C" {
#include "catalog/pg_authid.h"
#include "storage/lwlock.h"
}

namespace wc::monitor::alerts {

namespace {

using core::alert::Event;
using core::alert::Level;
using pg::Locked;

constexpr int64 news = USECS_PER_MINUTE; // of what happened so lately a database that is new is told
constexpr uint64 kept = 512;             // events that wait to be told
constexpr int most_listeners = 256;      // databases that are notified

// A database that is notified.
struct Listener {
    Oid database; // InvalidOid: the place is free
    uint64 next;  // the first event that it hasn't been told
    uint64 lost;
    TimestampTz told_at;
};

struct Board {
    LWLock *lock;
    int most;
    uint64 next;   // number of the next event
    uint64 logged; // number of the first event that is not in the log
    uint64 unlogged;
    uint64 refused;
    TimestampTz refused_at;
    Listener listeners[most_listeners];
    Told told[kept];                      // event n stands at n % kept
    Raised raised[FLEXIBLE_ARRAY_MEMBER]; // free where the state is Ok
};

Board *board = nullptr; // null: the library was not loaded at server start

Size size() {
    return add_size(offsetof(Board, raised), mul_size(sizeof(Raised), static_cast<Size>(pg::settings::alert::most)));
}

void start(void *memory, LWLock *lock, bool fresh) {
    board = static_cast<Board *>(memory);
    if (!fresh)
        return;
    memset(memory, 0, size());
    board->lock = lock;
    board->most = pg::settings::alert::most;
    board->next = board->logged = 1;
}

bool is_raised(const Raised &alert) {
    return alert.state.level != Level::Ok;
}

bool same(const Reading &a, const Reading &b) {
    return a.name == b.name && a.database == b.database && strcmp(a.subject, b.subject) == 0;
}

uint64 oldest() {
    return board->next > kept ? board->next - kept : 1;
}

void tell(const Raised &alert, const core::alert::Step &step, TimestampTz at) {
    const uint64 number = board->next++;
    Told &place = board->told[number % kept];
    place.number = number;
    place.reading = alert.reading;
    place.event = step.event;
    place.level = step.level;
    place.limit = step.limit;
    place.since = alert.since;
    place.at = at;
}

void end(Raised &alert, TimestampTz now) {
    tell(alert, core::alert::over(alert.state), now);
}

void take_in(Raised &alert, const Reading &reading, int64 now_ms, TimestampTz now) {
    const int64 repeat = int64{pg::settings::alert::repeat} * 1000;
    alert.reading = reading;
    const auto step =
        core::alert::step(alert.state, reading.value, {reading.warning, reading.critical}, now_ms, repeat);
    if (step.event == Event::None)
        return;
    if (step.event != Event::Cleared)
        alert.last_raised = now;
    tell(alert, step, now);
}

Raised *free_place() {
    for (int i = 0; i < board->most; ++i)
        if (!is_raised(board->raised[i]))
            return &board->raised[i];
    return nullptr;
}

// A reading of something that no alert is raised for.
void take_in_new(Source source, const Reading &reading, int64 now_ms, TimestampTz now) {
    core::alert::State untried = {};
    const core::alert::Limits limits = {reading.warning, reading.critical};
    if (core::alert::step(untried, reading.value, limits, now_ms, 0).event == Event::None)
        return;
    Raised *const place = free_place();
    if (place == nullptr) {
        board->refused++;
        board->refused_at = now;
        return;
    }
    memset(static_cast<void *>(place), 0, sizeof *place);
    place->source = source;
    place->since = now;
    take_in(*place, reading, now_ms, now);
}

// The first event from a moment on.
uint64 first_since(TimestampTz moment) {
    uint64 number = board->next;
    while (number > oldest() && board->told[(number - 1) % kept].at >= moment)
        number--;
    return number;
}

// The event n, where it is still kept and concerns a database.
const Told *of_listener(const Listener &listener, uint64 number) {
    const Told &told = board->told[number % kept];
    const Oid database = told.reading.database;
    return !OidIsValid(database) || database == listener.database ? &told : nullptr;
}

// Calls f with each event that a database is still to be told.
template <typename F> void untold(const Listener &listener, F &&f) {
    for (uint64 number = std::max(listener.next, oldest()); number < board->next; ++number)
        if (const Told *const told = of_listener(listener, number))
            f(*told);
}

Listener *listener_of(Oid database) {
    for (Listener &listener : board->listeners)
        if (listener.database == database)
            return &listener;
    return nullptr;
}

bool among(Oid database, const std::vector<Oid> &databases) {
    return std::binary_search(databases.begin(), databases.end(), database);
}

// Events that nobody keeps any more.
void count_lost(Listener &listener) {
    if (listener.next >= oldest())
        return;
    listener.lost += oldest() - listener.next; // at most: some may have been of other databases
    listener.next = oldest();
}

std::string utc(TimestampTz at) {
    const pg_time_t seconds = timestamptz_to_time_t(at);
    struct tm parts = {};
    char text[64];
    if (gmtime_r(&seconds, &parts) == nullptr || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        return "";
    return text;
}

core::alert::Told as_text(const Told &told, const std::string &subject, const std::string &database) {
    return {told.event,         told.level, name(told.reading.name), subject,     database,
            told.reading.value, told.limit, utc(told.since),         utc(told.at)};
}

} // namespace

void init() {
    pg::hooks::shared_memory({"whitecross alerts", size, start});
    visit::serve(visit::Purpose::Notify, "whitecross alerts", 2, notify_listeners);
}

void report(Source source, Oid database, const std::vector<Reading> &readings) {
    if (board == nullptr)
        return;
    const int64 now_ms = pg::clock::milliseconds();
    const TimestampTz now = GetCurrentTimestamp();
    const Locked lock(board->lock);
    for (int i = 0; i < board->most; ++i) {
        Raised &alert = board->raised[i];
        if (!is_raised(alert) || alert.source != source || alert.reading.database != database)
            continue;
        const auto found = std::find_if(readings.begin(), readings.end(),
                                        [&](const Reading &reading) { return same(reading, alert.reading); });
        if (found == readings.end())
            end(alert, now);
        else if (core::alert::usable(found->value))
            take_in(alert, *found, now_ms, now);
    }
    for (const Reading &reading : readings) {
        const auto *const end = board->raised + board->most;
        const bool raised = std::any_of(static_cast<const Raised *>(board->raised), end, [&](const Raised &alert) {
            return is_raised(alert) && same(reading, alert.reading);
        });
        if (!raised && core::alert::usable(reading.value))
            take_in_new(source, reading, now_ms, now);
    }
}

std::vector<Raised> list() {
    observe::require_preloaded();
    const bool all = pg::call([] { return has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS); });
    std::vector<Raised> found(board->most);
    size_t count = 0;
    {
        const Locked lock(board->lock, LW_SHARED);
        for (int i = 0; i < board->most; ++i) {
            const Oid database = board->raised[i].reading.database;
            if (is_raised(board->raised[i]) && (all || !OidIsValid(database) || database == MyDatabaseId))
                found[count++] = board->raised[i];
        }
    }
    found.resize(count);
    std::sort(found.begin(), found.end(), [](const Raised &a, const Raised &b) {
        return a.state.level != b.state.level ? a.state.level > b.state.level : a.since < b.since;
    });
    return found;
}

Status status() {
    observe::require_preloaded();
    Status out;
    const Locked lock(board->lock, LW_SHARED);
    out.most = board->most;
    for (int i = 0; i < board->most; ++i)
        out.raised += is_raised(board->raised[i]) ? 1 : 0;
    out.refused = board->refused;
    out.refused_at = board->refused_at;
    if (const Listener *const listener = listener_of(MyDatabaseId)) {
        untold(*listener, [&](const Told &) { out.untold++; });
        out.lost = listener->lost;
        out.told_at = listener->told_at;
    }
    return out;
}

void keep_only(const std::vector<Oid> &databases) {
    const TimestampTz now = GetCurrentTimestamp();
    const Locked lock(board->lock);
    for (int i = 0; i < board->most; ++i) {
        Raised &alert = board->raised[i];
        const Oid database = alert.reading.database;
        if (is_raised(alert) && OidIsValid(database) && !among(database, databases))
            end(alert, now);
    }
}

std::vector<Told> take_for_log() {
    std::vector<Told> out(kept);
    size_t count = 0;
    {
        const Locked lock(board->lock);
        if (board->logged < oldest()) {
            board->unlogged += oldest() - board->logged;
            board->logged = oldest();
        }
        for (; board->logged < board->next; ++board->logged)
            out[count++] = board->told[board->logged % kept];
    }
    out.resize(count);
    return out;
}

Losses losses() {
    const Locked lock(board->lock, LW_SHARED);
    return {board->unlogged, board->refused};
}

std::vector<Oid> to_notify(const std::vector<Oid> &databases) {
    const TimestampTz now = GetCurrentTimestamp();
    std::vector<Oid> waiting(databases.size());
    size_t count = 0;
    {
        const Locked lock(board->lock);
        for (Listener &listener : board->listeners)
            if (OidIsValid(listener.database) && !among(listener.database, databases))
                listener = {};
        for (const Oid database : databases) {
            Listener *listener = listener_of(database);
            if (listener == nullptr && (listener = listener_of(InvalidOid)) != nullptr)
                *listener = {database, first_since(now - news), 0, 0};
            if (listener == nullptr) // more databases than are notified
                continue;
            count_lost(*listener);
            bool any = false;
            untold(*listener, [&](const Told &) { any = true; });
            if (any)
                waiting[count++] = database;
            else
                listener->next = board->next;
        }
    }
    waiting.resize(count);
    return waiting;
}

void skip_notifications() {
    const Locked lock(board->lock);
    for (Listener &listener : board->listeners)
        listener.next = board->next;
}

std::vector<Told> for_database(Oid database) {
    std::vector<Told> out(kept);
    size_t count = 0;
    {
        const Locked lock(board->lock, LW_SHARED);
        if (const Listener *const listener = listener_of(database))
            untold(*listener, [&](const Told &told) { out[count++] = told; });
    }
    out.resize(count);
    return out;
}

void notified(Oid database, uint64 number) {
    const TimestampTz now = GetCurrentTimestamp();
    const Locked lock(board->lock);
    Listener *const listener = listener_of(database);
    if (listener == nullptr)
        return;
    listener->next = std::max(listener->next, number + 1);
    listener->told_at = now;
}

std::string line(const Told &told, const std::string &database) {
    return core::alert::line(as_text(told, told.reading.subject, database));
}

std::string json(const Told &told, const std::string &database) {
    return core::alert::json(
        as_text(told, observe::in_database_encoding(told.reading.subject, told.reading.encoding), database));
}

} // namespace wc::monitor::alerts

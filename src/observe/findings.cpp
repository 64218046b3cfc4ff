// The table of findings: fixed, searched from end to end, touched when a burst begins or ends.
#include "observe/findings.hpp"

#include "observe/observe.hpp"
#include "observe/texts.hpp"
#include "observe/totals.hpp"
#include "pg/guc.hpp"
#include "pg/hooks.hpp"
#include "pg/locked.hpp"

#include <algorithm>
#include <cstring>

extern "C" {
#include "mb/pg_wchar.h"
#include "common/hashfn.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
}

namespace wc::observe::findings {

namespace {

constexpr uint32 places = 256;

struct Key {
    uint64 query_id;
    Oid database;
    Oid role;
    Kind kind;
    char application_name[NAMEDATALEN];
};

// The heads stand apart, so that looking for one reads little memory.
struct Head {
    uint64 hash;            // of the key
    TimestampTz last_seen;  // 0: the place is free
    pg_atomic_uint32 turns; // how often it has changed hands; read without the lock
};

struct Slot {
    Key key;
    CommandTag tag;
    uint64 bursts;
    uint32 largest;
    TimestampTz first_seen;
    int encoding; // of the text
    int text_length;
    char text[FLEXIBLE_ARRAY_MEMBER]; // of query_text_size bytes, without a terminator
};

struct Table {
    LWLock *lock;
    pg_atomic_uint32 resets;
    Head heads[places];
    // Slots, as many as places.
};

Table *table = nullptr; // null: the library was not loaded at server start

Size slot_size() {
    return MAXALIGN(offsetof(Slot, text) + static_cast<Size>(pg::settings::query_text_size));
}

Size size() {
    return add_size(MAXALIGN(sizeof(Table)), mul_size(slot_size(), places));
}

void start(void *memory, LWLock *lock, bool fresh) {
    table = static_cast<Table *>(memory);
    if (!fresh)
        return;
    memset(memory, 0, size());
    table->lock = lock;
    pg_atomic_init_u32(&table->resets, 0);
    for (Head &head : table->heads)
        pg_atomic_init_u32(&head.turns, 1); // so that no reference is 0
}

Slot *slot(uint32 place) noexcept {
    char *const first = reinterpret_cast<char *>(table) + MAXALIGN(sizeof(Table));
    return reinterpret_cast<Slot *>(first + slot_size() * place);
}

// A reference is the place in its lower 8 bits and the turn, cut to 24, above.
constexpr uint32 turn_bits = 24;
static_assert(places <= 1U << (32 - turn_bits));

uint32 place_of(Reference finding) noexcept {
    return finding & 0xff;
}

Reference reference(uint32 place) noexcept {
    return (pg_atomic_read_u32(&table->heads[place].turns) << (32 - turn_bits)) | place;
}

// Gives a place up, so that references to what was there are no longer good. 0 is no turn.
void free(uint32 place) noexcept {
    Head &head = table->heads[place];
    head.last_seen = 0;
    const uint32 turn = (pg_atomic_read_u32(&head.turns) + 1) & ((1U << turn_bits) - 1);
    pg_atomic_write_u32(&head.turns, turn == 0 ? 1 : turn);
}

Key key_of(Kind kind, const Statement &statement) noexcept {
    Key key;
    memset(&key, 0, sizeof key); // padding too: its bytes are hashed
    key.query_id = statement.query_id;
    key.database = MyDatabaseId;
    key.role = statement.role;
    key.kind = kind;
    strlcpy(key.application_name, application_name != nullptr ? application_name : "", NAMEDATALEN);
    return key;
}

bool same(const Key &a, const Key &b) noexcept {
    return a.query_id == b.query_id && a.database == b.database && a.role == b.role && a.kind == b.kind &&
           strcmp(a.application_name, b.application_name) == 0;
}

// The place of a key, or where it may go. Under the lock.
uint32 find_place(const Key &key, uint64 hash) noexcept {
    uint32 oldest = 0; // of all; a free one is older than any
    for (uint32 place = 0; place < places; ++place) {
        const Head &head = table->heads[place];
        if (head.last_seen != 0 && head.hash == hash && same(slot(place)->key, key))
            return place;
        if (head.last_seen < table->heads[oldest].last_seen)
            oldest = place;
    }
    if (table->heads[oldest].last_seen != 0)
        free(oldest);
    return oldest;
}

void take_in(Finding &finding, const std::vector<UnderWay> &under_way, Reference reference) {
    for (const UnderWay &burst : under_way)
        if (burst.finding == reference) {
            finding.largest = std::max(finding.largest, burst.size);
            finding.last_seen = std::max(finding.last_seen, burst.last_seen);
        }
}

} // namespace

void init() {
    pg::hooks::shared_memory({"whitecross n plus one", size, start});
}

bool is_allowed(uint64 query_id) noexcept {
    const int64 *const end = pg::settings::n_plus_one_allowed_ids + pg::settings::n_plus_one_allowed_count;
    const int64 *const found =
        std::find(static_cast<const int64 *>(pg::settings::n_plus_one_allowed_ids), end, static_cast<int64>(query_id));
    return found != end;
}

Reference begin(Kind kind, const Statement &statement) noexcept {
    const Key key = key_of(kind, statement);
    const uint64 hash = hash_bytes_extended(reinterpret_cast<const unsigned char *>(&key), sizeof key, 0);
    const std::string_view text = texts::find(statement.query_id);
    totals::add_burst(MyDatabaseId);
    const pg::Locked lock(table->lock);
    const uint32 place = find_place(key, hash);
    Head &head = table->heads[place];
    Slot *const there = slot(place);
    if (head.last_seen == 0) {
        head.hash = hash;
        there->key = key;
        there->tag = statement.tag;
        there->bursts = 0;
        there->largest = 0;
        there->first_seen = statement.ended_at;
        there->encoding = GetDatabaseEncoding();
        there->text_length = 0;
    }
    there->bursts++;
    head.last_seen = std::max(head.last_seen, statement.ended_at);
    if (there->text_length == 0 && !text.empty()) {
        there->text_length = static_cast<int>(std::min<size_t>(text.size(), pg::settings::query_text_size));
        memcpy(there->text, text.data(), there->text_length);
    }
    return reference(place);
}

uint32 resets() noexcept {
    return pg_atomic_read_u32(&table->resets);
}

WC_HOT bool stands(Reference finding) noexcept {
    return finding != 0 && reference(place_of(finding)) == finding;
}

void remember(const UnderWay &burst) noexcept {
    if (!stands(burst.finding))
        return;
    const pg::Locked lock(table->lock);
    if (!stands(burst.finding))
        return;
    Slot *const there = slot(place_of(burst.finding));
    Head &head = table->heads[place_of(burst.finding)];
    there->largest = std::max(there->largest, burst.size);
    head.last_seen = std::max(head.last_seen, burst.last_seen);
}

void retract(Reference finding) noexcept {
    const pg::Locked lock(table->lock);
    if (!stands(finding))
        return;
    Slot *const there = slot(place_of(finding));
    totals::retract_burst(there->key.database);
    if (there->bursts > 1)
        there->bursts--;
    else
        free(place_of(finding));
}

std::vector<Finding> list(const std::vector<UnderWay> &under_way) {
    require_preloaded();
    const Viewer viewer;
    // All of it is copied under the lock, which may not wait for memory.
    std::vector<char> copy(slot_size() * places);
    std::vector<Reference> references(places);
    std::vector<TimestampTz> last_seen(places);
    {
        const pg::Locked lock(table->lock, LW_SHARED);
        memcpy(copy.data(), slot(0), copy.size());
        for (uint32 place = 0; place < places; ++place) {
            references[place] = reference(place);
            last_seen[place] = table->heads[place].last_seen;
        }
    }
    std::vector<Finding> found;
    for (uint32 place = 0; place < places; ++place) {
        const Slot *const from = reinterpret_cast<const Slot *>(copy.data() + slot_size() * place);
        if (last_seen[place] == 0 || !viewer.sees(from->key.role))
            continue;
        found.push_back({from->key.kind, from->key.database, from->key.role, from->key.application_name,
                         from->key.query_id, from->tag, from->bursts, from->largest, from->first_seen, last_seen[place],
                         std::string(from->text, from->text_length), from->encoding});
        take_in(found.back(), under_way, references[place]);
    }
    std::sort(found.begin(), found.end(), [](const Finding &a, const Finding &b) { return a.last_seen > b.last_seen; });
    return found;
}

int reset() {
    require_preloaded();
    const pg::Locked lock(table->lock);
    pg_atomic_fetch_add_u32(&table->resets, 1);
    int there = 0;
    for (uint32 place = 0; place < places; ++place)
        if (table->heads[place].last_seen != 0) {
            there++;
            free(place);
        }
    return there;
}

} // namespace wc::observe::findings

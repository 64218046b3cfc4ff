// What people see of the store, and have removed from it: one place after the other, each under its partition's lock.
#include "cache/board.hpp"
#include "cache/stats.hpp"
#include "pg/clock.hpp"

#include <algorithm>

extern "C" {
#include "catalog/pg_collation.h"
}

namespace wc::cache::store {

namespace {

using stats::Counter;

// Shows the entry of a place of this database to f, under its partition's lock; f must neither allocate nor throw.
// False: there is none.
template <typename F> bool look_at(uint32 number, LWLockMode mode, F &&f) {
    if (pg_atomic_read_u64(&hot[number].heat) == 0)
        return false;
    const uint32 in = pg_atomic_read_u32(&hot[number].bucket);
    const pg::Locked locked(lock_of(in), mode);
    // Another one in this partition by now, or none: then it came or went while we look, as it might have before or
    // after.
    if (pg_atomic_read_u64(&hot[number].heat) == 0 || pg_atomic_read_u32(&hot[number].bucket) != in ||
        place[number].database != MyDatabaseId)
        return false;
    return f(place[number]);
}

// Removes the entries of this database that f says yes to, and counts them as invalidated. f must neither allocate nor
// throw.
template <typename F> int64 remove(F &&f) {
    int64 removed = 0;
    for (uint32 number = 0; number < board->places; ++number) {
        if (number % 1024 == 0)
            pg::check_for_interrupts();
        const bool found = look_at(number, LW_EXCLUSIVE, [&](const Place &entry) {
            if (!f(entry))
                return false;
            unlink(number);
            return true;
        });
        if (found) {
            give_back(number);
            ++removed;
        }
    }
    stats::count(Counter::Invalidations, static_cast<uint64>(removed));
    return removed;
}

// Nothing is stored any more in this database that was read before now.
void forget_fills(uint32 cell) {
    generations::move(cell); // so that what begins after this has a later moment than what began before
    const uint64 now = generations::moment();
    pg_atomic_uint64 &word = forgotten_word(MyDatabaseId);
    uint64 seen = pg_atomic_read_u64(&word);
    while (seen < now && !pg_atomic_compare_exchange_u64(&word, &seen, now)) {
    }
}

bool depends_on(const Place &entry, const std::vector<uint32> &cells) {
    Stream stream(entry.first_block);
    for (uint32 i = 0; i < entry.dependencies; ++i) {
        Dependency noted;
        stream.read(&noted, sizeof noted);
        if (std::binary_search(cells.begin(), cells.end(), noted.cell))
            return true;
    }
    return false;
}

struct Tagged {
    uint32 place;
    uint64 number;
    int32 length;
    char tag[longest_tag];
};

std::vector<Tagged> tagged() {
    std::vector<Tagged> found;
    for (uint32 number = 0; number < board->places; ++number) {
        Tagged each;
        const bool is_tagged = look_at(number, LW_SHARED, [&](const Place &entry) {
            each = {number, entry.number, entry.tag_length, {}};
            if (entry.tag_length > 0)
                memcpy(each.tag, entry.tag, static_cast<size_t>(entry.tag_length));
            return entry.tag_length >= 0;
        });
        if (is_tagged)
            found.push_back(each);
    }
    return found;
}

// The server raises that only where a text is alike up to there.
void require_whole(const std::string &pattern) {
    bool escape = false;
    for (const char each : pattern) // no encoding of a database has a backslash within a character
        escape = !escape && each == '\\';
    if (escape)
        throw pg::Error(ERRCODE_INVALID_ESCAPE_SEQUENCE, "LIKE pattern must not end with escape character");
}

// Whether each is like the pattern.
std::vector<char> alike(const std::vector<Tagged> &all, const std::string &pattern) {
    std::vector<char> answers(all.size());
    char *const answer = answers.data();
    pg::call([&all, &pattern, answer] {
        text *const wanted = cstring_to_text_with_len(pattern.data(), static_cast<int>(pattern.size()));
        const auto is_like = [wanted](const char *tag, int length) {
            text *const given = cstring_to_text_with_len(tag, length);
            const bool is = DatumGetBool(
                DirectFunctionCall2Coll(textlike, C_COLLATION_OID, PointerGetDatum(given), PointerGetDatum(wanted)));
            pfree(given);
            return is;
        };
        for (size_t i = 0; i < all.size(); ++i)
            answer[i] = is_like(all[i].tag, all[i].length) ? 1 : 0;
        pfree(wanted);
    });
    return answers;
}

} // namespace

int64 clear() {
    stats::require_preloaded();
    if (!made())
        return 0;
    forget_fills(generations::rules_cell(MyDatabaseId));
    return remove([](const Place &) { return true; });
}

int64 invalidate_tags(const std::string &pattern) {
    stats::require_preloaded();
    require_whole(pattern);
    if (!made())
        return 0;
    forget_fills(generations::cell_of(MyDatabaseId, InvalidOid));
    const auto all = tagged();
    const auto answers = alike(all, pattern);
    std::vector<uint64> numbers; // of those that go
    for (size_t i = 0; i < all.size(); ++i)
        if (answers[i] != 0)
            numbers.push_back(all[i].number);
    std::sort(numbers.begin(), numbers.end());
    return remove(
        [&numbers](const Place &entry) { return std::binary_search(numbers.begin(), numbers.end(), entry.number); });
}

int64 invalidate_cells(const std::vector<uint32> &cells) {
    stats::require_preloaded();
    std::vector<uint32> sorted = cells;
    std::sort(sorted.begin(), sorted.end());
    for (const uint32 cell : sorted)
        generations::move(cell);
    return made() ? remove([&sorted](const Place &entry) { return depends_on(entry, sorted); }) : 0;
}

std::vector<Entry> entries(Oid whose) {
    stats::require_preloaded();
    std::vector<Entry> found;
    std::vector<Oid> tables(most_dependencies);
    for (uint32 number = 0; made() && number < board->places; ++number) {
        Entry each = {};
        char tag[longest_tag];
        int32 tag_length = -1;
        uint32 table_count = 0;
        const int64 now = pg::clock::microseconds();
        const bool seen = look_at(number, LW_SHARED, [&](const Place &entry) {
            const bool too_old = pg_atomic_read_u64(&hot[number].expires_at) <= static_cast<uint64>(now);
            if (too_old || (OidIsValid(whose) && entry.role != whose))
                return false;
            each.role = entry.role;
            each.query_id = entry.query_id;
            each.ttl_ms = entry.ttl_ms;
            each.age_ms = std::max<int64>(now - entry.stored_at, 0) / 1000;
            each.hits = pg_atomic_read_u64(&place[number].hits);
            each.bytes = entry.size;
            each.cost_ms = static_cast<double>(hot[number].cost_ms);
            tag_length = entry.tag_length;
            if (tag_length > 0)
                memcpy(tag, entry.tag, static_cast<size_t>(tag_length));
            table_count = std::min<uint32>(entry.tables, static_cast<uint32>(tables.size()));
            Stream stream(entry.first_block);
            for (uint32 i = 0; i < entry.dependencies; ++i) {
                Dependency skipped;
                stream.read(&skipped, sizeof skipped);
            }
            stream.read(tables.data(), table_count * sizeof(Oid));
            return true;
        });
        if (!seen)
            continue;
        if (tag_length >= 0)
            each.tag = std::string(tag, static_cast<size_t>(tag_length));
        each.tables.assign(tables.begin(), tables.begin() + table_count);
        found.push_back(std::move(each));
    }
    return found;
}

std::vector<Held> held() {
    stats::require_preloaded();
    std::map<Oid, Held> found;
    for (uint32 number = 0; made() && number < board->places; ++number) {
        Oid database = InvalidOid;
        uint64 bytes = 0;
        if (pg_atomic_read_u64(&hot[number].heat) != 0) {
            const uint32 in = pg_atomic_read_u32(&hot[number].bucket);
            const pg::Locked locked(lock_of(in), LW_SHARED);
            if (pg_atomic_read_u64(&hot[number].heat) != 0 && pg_atomic_read_u32(&hot[number].bucket) == in) {
                database = place[number].database;
                bytes = place[number].size;
            }
        }
        if (!OidIsValid(database))
            continue;
        Held &sum = found[database];
        sum.database = database;
        sum.entries++;
        sum.bytes += bytes;
    }
    std::vector<Held> out;
    for (const auto &[database, sum] : found)
        out.push_back(sum);
    return out;
}

Room room() {
    stats::require_preloaded();
    if (!made())
        return {};
    const pg::Locked locked(board->room, LW_SHARED);
    return {board->places - board->free_places, board->places,
            static_cast<uint64>(board->blocks - board->free_blocks) * block_size,
            static_cast<uint64>(board->blocks) * block_size};
}

} // namespace wc::cache::store

// What the tests of the result cache's store call (test/t/175_cache_store.pl, 176_cache_fills.pl): the store, the fills
// in flight and the generations as they are in the extension, without queries. A library that a test's server loads at
// its start instead of the extension; it is never installed.
#include "cache/fills.hpp"
#include "cache/stats.hpp"
#include "cache/store.hpp"
#include "core/cache_policy.hpp"
#include "pg/function.hpp"
#include "pg/guc.hpp"
#include "pg/hooks.hpp"
#include "pg/module.hpp"
#include "pg/preloaded.hpp"

#include <algorithm>
#include <cmath>

using namespace wc;
using namespace wc::cache;

extern "C" WC_EXPORT void _PG_init(void);

extern "C" void _PG_init(void) {
    pg::entry([] {
        pg::note_preloading();
        pg::settings::define();
        generations::init();
        stats::init();
        store::init();
        fills::init();
        pg::hooks::install();
    });
}

namespace {

// Of a number: as evenly spread as a keyed digest.
Digest digest_of(uint64 key) {
    Digest digest;
    uint64 seed = key * 2 + 1;
    for (size_t at = 0; at < digest.bytes.size(); at += sizeof(uint64)) {
        const uint64 word = core::next_random(seed);
        memcpy(digest.bytes.data() + at, &word, sizeof word);
    }
    return digest;
}

// What the rows of a key look like: whatever of them is lost, doubled or another's shows. The length is in it.
std::string rows_of(uint64 key, size_t size) {
    std::string rows(size, '\0');
    uint64 seed = key ^ size << 40;
    for (size_t at = 0; at < size; at += sizeof(uint64)) {
        const uint64 word = core::next_random(seed);
        memcpy(rows.data() + at, &word, std::min(sizeof word, size - at));
    }
    return rows;
}

bool are_rows_of(uint64 key, const store::Copy &copy) {
    return rows_of(key, copy.size) == std::string_view(copy.bytes, copy.size);
}

// The cells of this database's rules and of these tables, as they are now.
std::vector<Dependency> noted(uint64 since, const std::vector<Oid> &tables) {
    std::vector<Dependency> all(1 + tables.size());
    bool moved = !generations::note(generations::rules_cell(MyDatabaseId), since, all[0]);
    for (size_t i = 0; i < tables.size(); ++i)
        moved = !generations::note(generations::cell_of(MyDatabaseId, tables[i]), since, all[i + 1]) || moved;
    if (moved)
        all.clear();
    return all;
}

const char *word_of(store::Stored outcome) {
    switch (outcome) {
    case store::Stored::Stored:
        return "stored";
    case store::Stored::TooLarge:
        return "too large";
    case store::Stored::NoRoom:
        return "no room";
    case store::Stored::Forgotten:
        return "forgotten";
    case store::Stored::Newer:
        return "newer";
    }
    return "";
}

const char *word_of(store::Look look) {
    switch (look) {
    case store::Look::Hit:
        return "hit";
    case store::Look::Absent:
        return "absent";
    case store::Look::Stale:
        return "stale";
    case store::Look::Expired:
        return "expired";
    }
    return "";
}

store::Stored put(uint64 key, size_t size, store::About about, const std::vector<Oid> &tables) {
    const auto dependencies = noted(about.since, tables);
    about.role = GetUserId();
    about.query_id = key;
    about.dependencies = dependencies.data();
    about.dependency_count = dependencies.size();
    about.tables = tables.data();
    about.table_count = tables.size();
    const std::string rows = rows_of(key, size);
    return store::put(digest_of(key), about, rows.data(), rows.size());
}

} // namespace

// test_moment(): the clock of generations.
WC_FUNCTION(test_moment) {
    PG_RETURN_INT64(static_cast<int64>(generations::moment()));
}

// test_put(key bigint, size bigint, tables text[], ttl_ms bigint, tag text, cost_ms float8, since bigint): the outcome;
// "moved" where a table has moved since. since NULL: now.
WC_FUNCTION(test_put) {
    std::vector<Oid> tables;
    for (const std::string &each : pg::required_texts(fcinfo, 2, "tables"))
        tables.push_back(static_cast<Oid>(std::stoul(each)));
    const pg::Text tag = pg::text_argument(fcinfo, 4);
    store::About about;
    about.ttl_ms = PG_GETARG_INT64(3);
    if (tag)
        about.tag = *tag;
    about.cost_ms = PG_GETARG_FLOAT8(5);
    about.since = PG_ARGISNULL(6) ? generations::moment() : static_cast<uint64>(PG_GETARG_INT64(6));
    if (noted(about.since, tables).empty())
        return pg::return_text(fcinfo, "moved");
    return pg::return_text(fcinfo, word_of(put(static_cast<uint64>(PG_GETARG_INT64(0)),
                                               static_cast<size_t>(PG_GETARG_INT64(1)), about, tables)));
}

// test_find(key bigint): "hit 123" with the number of bytes, "hit wrong" where they are not that key's, or why not.
WC_FUNCTION(test_find) {
    const auto key = static_cast<uint64>(PG_GETARG_INT64(0));
    store::Copy copy;
    const store::Look look = store::find(digest_of(key), copy);
    std::string answer = word_of(look);
    if (look == store::Look::Hit) {
        answer += are_rows_of(key, copy) ? " " + std::to_string(copy.size) : " wrong";
        pfree(copy.bytes);
    }
    return pg::return_text(fcinfo, answer);
}

// test_move(table oid): as a write of it would.
WC_FUNCTION(test_move) {
    generations::move(generations::cell_of(MyDatabaseId, PG_GETARG_OID(0)));
    return pg::return_null(fcinfo);
}

// test_load(calls bigint, keys bigint, largest bigint, seed bigint): so many look-ups of random keys, the missing ones
// stored with random sizes, most of them small; now and then a table is written. How many hits were wrong.
WC_FUNCTION(test_load) {
    const int64 calls = PG_GETARG_INT64(0);
    const auto keys = static_cast<uint64>(PG_GETARG_INT64(1));
    const auto largest = static_cast<uint64>(PG_GETARG_INT64(2));
    auto seed = static_cast<uint64>(PG_GETARG_INT64(3));
    const std::vector<Oid> tables = {1001, 1002, 1003};
    int64 wrong = 0;
    for (int64 call = 0; call < calls; ++call) {
        if (call % 256 == 0)
            pg::check_for_interrupts();
        const uint64 key = core::next_random(seed) % keys;
        store::Copy copy;
        if (store::find(digest_of(key), copy) == store::Look::Hit) {
            wrong += are_rows_of(key, copy) ? 0 : 1;
            pfree(copy.bytes);
            continue;
        }
        const uint64 order = core::next_random(seed) % 20;
        const uint64 size = core::next_random(seed) % (order == 0 ? largest : order < 5 ? largest / 16 + 1 : 1500);
        store::About about;
        about.ttl_ms = order == 1 ? 1 : 3600000;
        about.cost_ms = static_cast<double>(order);
        about.since = generations::moment();
        (void)put(key, size, about, {tables[key % tables.size()]});
        if (core::next_random(seed) % 5000 == 0)
            generations::move(generations::cell_of(MyDatabaseId, tables[order % tables.size()]));
    }
    PG_RETURN_INT64(wrong);
}

// test_turn(key bigint): "mine", "waited" or "alone".
WC_FUNCTION(test_turn) {
    switch (fills::take_turn(digest_of(static_cast<uint64>(PG_GETARG_INT64(0))))) {
    case fills::Turn::Mine:
        return pg::return_text(fcinfo, "mine");
    case fills::Turn::Waited:
        return pg::return_text(fcinfo, "waited");
    case fills::Turn::Alone:
        break;
    }
    return pg::return_text(fcinfo, "alone");
}

// test_end_turn()
WC_FUNCTION(test_end_turn) {
    fills::end_turn();
    return pg::return_null(fcinfo);
}

// test_zipf(calls bigint, keys bigint, exponent float8): so many look-ups, the k-th most frequent key k^exponent times
// as rare as the first, the missing ones stored. The part of the last four fifths that were hits.
WC_FUNCTION(test_zipf) {
    const int64 calls = PG_GETARG_INT64(0);
    const auto keys = static_cast<size_t>(PG_GETARG_INT64(1));
    std::vector<double> sums(keys);
    double sum = 0;
    for (size_t i = 0; i < keys; ++i)
        sums[i] = sum += std::pow(static_cast<double>(i + 1), -PG_GETARG_FLOAT8(2));
    uint64 seed = 1;
    int64 hits = 0;
    int64 counted = 0;
    for (int64 call = 0; call < calls; ++call) {
        const double at = static_cast<double>(core::next_random(seed) >> 11) / 9007199254740992.0 * sum;
        const auto key = static_cast<uint64>(std::upper_bound(sums.begin(), sums.end(), at) - sums.begin());
        store::Copy copy;
        const bool hit = store::find(digest_of(key), copy) == store::Look::Hit;
        if (call >= calls / 5) {
            ++counted;
            hits += hit ? 1 : 0;
        }
        if (hit) {
            pfree(copy.bytes);
            continue;
        }
        store::About about;
        about.ttl_ms = 3600000;
        about.cost_ms = 5;
        about.since = generations::moment();
        (void)put(key, 500, about, {1001});
    }
    PG_RETURN_FLOAT8(static_cast<double>(hits) / static_cast<double>(counted));
}

// Plans that a session keeps.
#include "pg/kept.hpp"

#include <algorithm>

extern "C" {
#include "common/hashfn.h"
}

namespace wc::pg {

namespace {

struct Kept {
    SPIPlanPtr plan;
    uint64 hash;
    char sql[FLEXIBLE_ARRAY_MEMBER];
};

// Of this session, the one used last first.
Kept *all[most_kept];
int count_of_all = 0;

void put_first(Kept *kept, int from) {
    std::copy_backward(all, all + from, all + from + 1);
    all[0] = kept;
}

SPIPlanPtr find(const char *sql, uint64 hash) {
    for (int i = 0; i < count_of_all; ++i) {
        Kept *kept = all[i];
        if (kept->hash == hash && strcmp(kept->sql, sql) == 0) {
            put_first(kept, i);
            return kept->plan;
        }
    }
    return nullptr;
}

void drop_last() {
    Kept *last = all[--count_of_all];
    SPI_freeplan(last->plan);
    pfree(last);
}

} // namespace

SPIPlanPtr kept_plan(const char *sql, int count, Oid *types) {
    const size_t length = strlen(sql);
    const uint64 hash = hash_bytes_extended(reinterpret_cast<const unsigned char *>(sql), static_cast<int>(length), 0);
    SPIPlanPtr plan = find(sql, hash);
    if (plan != nullptr)
        return plan;
    plan = SPI_prepare_cursor(sql, count, types, CURSOR_OPT_GENERIC_PLAN);
    if (plan == nullptr)
        elog(ERROR, "could not prepare a statement: %s", SPI_result_code_string(SPI_result));
    auto *kept = static_cast<Kept *>(MemoryContextAlloc(TopMemoryContext, offsetof(Kept, sql) + length + 1));
    kept->plan = plan;
    kept->hash = hash;
    memcpy(kept->sql, sql, length + 1);
    SPI_keepplan(plan); // from here on nothing fails
    if (count_of_all == most_kept)
        drop_last();
    put_first(kept, count_of_all++);
    return plan;
}

} // namespace wc::pg

// The server's secret.
#include "cache/secret.hpp"

#include "pg/hooks.hpp"

extern "C" {
#include "common/hmac.h"
}

namespace wc::cache::secret {

namespace {

constexpr size_t purpose_room = 32;

struct Board {
    uint8 bytes[size];
};

const Board *board = nullptr;

Size board_size() {
    return sizeof(Board);
}

void start(void *memory, LWLock *, bool fresh) {
    auto *const here = static_cast<Board *>(memory);
    if (fresh && !pg_strong_random(here->bytes, size))
        ereport(FATAL, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate a secret for the result cache")));
    board = here;
}

void must(int result) {
    if (result < 0)
        ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not compute a keyed digest")));
}

// Plain server code. A failure leaves the context to the end of the resource owner, which frees it.
Code keyed(const uint8 *key, const std::string_view *parts, size_t count) {
    pg_hmac_ctx *const context = pg_hmac_create(PG_SHA256);
    if (context == nullptr)
        ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
    must(pg_hmac_init(context, key, size));
    for (size_t i = 0; i < count; ++i) {
        const uint64 length = parts[i].size();
        must(pg_hmac_update(context, reinterpret_cast<const uint8 *>(&length), sizeof(length)));
        must(pg_hmac_update(context, reinterpret_cast<const uint8 *>(parts[i].data()), length));
    }
    Code code;
    must(pg_hmac_final(context, code.data(), code.size()));
    pg_hmac_free(context);
    return code;
}

// The key of a purpose; a process remembers those that it has made.
struct Derived {
    char purpose[purpose_room]; // empty: none yet
    Code key;
};
Derived derived[4];

const uint8 *key_of(std::string_view purpose) {
    for (auto &one : derived) {
        if (one.purpose[0] == '\0') {
            if (purpose.empty() || purpose.size() >= purpose_room)
                elog(ERROR, "no purpose of a keyed digest: its name is too long, or empty");
            one.key = keyed(board->bytes, &purpose, 1);
            memcpy(one.purpose, purpose.data(), purpose.size());
        }
        if (purpose == one.purpose)
            return one.key.data();
    }
    elog(ERROR, "too many purposes of keyed digests");
}

} // namespace

bool made() noexcept {
    return board != nullptr;
}

Code code_of(std::string_view purpose, const std::string_view *parts, size_t count) {
    return pg::call([=] {
        if (board == nullptr)
            elog(ERROR, "there is no secret: the library is not preloaded");
        return keyed(key_of(purpose), parts, count);
    });
}

void init() {
    if (pg::hooks::server_is_starting())
        pg::hooks::shared_memory({"whitecross cache secret", board_size, start});
}

} // namespace wc::cache::secret

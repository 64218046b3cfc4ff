// The store's shared memory: its layout, and the lists of what is free.
#include "cache/board.hpp"

#include "pg/guc_cache.hpp"
#include "pg/hooks.hpp"

#include <algorithm>

namespace wc::cache::store {

Board *board = nullptr;
Hot *hot = nullptr;
Place *place = nullptr;
uint32 *bucket = nullptr;
uint32 *next_block = nullptr;

namespace {

char *bytes = nullptr; // of the blocks

uint32 place_count() {
    return static_cast<uint32>(pg::settings::cache::entries);
}

uint32 block_count() {
    return static_cast<uint32>(static_cast<Size>(pg::settings::cache::size) * 1024 / block_size);
}

uint32 bucket_count() {
    uint32 count = partitions;
    while (count < 2 * place_count())
        count *= 2;
    return count;
}

// The pieces in their order, each on a cache line of its own.
struct Layout {
    Size hot = CACHELINEALIGN(sizeof(Board));
    Size place = add_size(hot, CACHELINEALIGN(mul_size(sizeof(Hot), place_count())));
    Size bucket = add_size(place, CACHELINEALIGN(mul_size(sizeof(Place), place_count())));
    Size next_block = add_size(bucket, CACHELINEALIGN(mul_size(sizeof(uint32), bucket_count())));
    Size bytes = add_size(next_block, CACHELINEALIGN(mul_size(sizeof(uint32), block_count())));
    Size end = add_size(bytes, mul_size(block_size, block_count()));
};

Size size() {
    return Layout().end;
}

void chain_up_what_is_free() {
    for (uint32 i = 0; i < board->places; ++i) {
        pg_atomic_init_u64(&hot[i].heat, 0);
        pg_atomic_init_u64(&hot[i].expires_at, 0);
        pg_atomic_init_u32(&hot[i].bucket, 0);
        pg_atomic_init_u64(&place[i].hits, 0);
        place[i].next = i + 1 < board->places ? i + 1 : none;
    }
    for (uint32 i = 0; i < board->blocks; ++i)
        next_block[i] = i + 1 < board->blocks ? i + 1 : none;
    for (uint32 i = 0; i < board->buckets; ++i)
        bucket[i] = none;
    board->free_place = 0;
    board->free_places = board->places;
    board->free_block = 0;
    board->free_blocks = board->blocks;
}

void start(void *memory, LWLock *lock, bool fresh) {
    const Layout layout;
    auto *const first = static_cast<char *>(memory);
    board = reinterpret_cast<Board *>(first);
    hot = reinterpret_cast<Hot *>(first + layout.hot);
    place = reinterpret_cast<Place *>(first + layout.place);
    bucket = reinterpret_cast<uint32 *>(first + layout.bucket);
    next_block = reinterpret_cast<uint32 *>(first + layout.next_block);
    bytes = first + layout.bytes;
    if (fresh) {
        board->room = lock;
        board->places = place_count();
        board->buckets = bucket_count();
        board->blocks = block_count();
        board->tranche = LWLockNewTrancheId();
        board->policy = core::CachePolicy::with_room(board->places);
        pg_atomic_init_u64(&board->stores, 0);
        for (auto &word : board->forgotten)
            pg_atomic_init_u64(&word, 0);
        for (auto &each : board->locks)
            LWLockInitialize(&each.lock, board->tranche);
        chain_up_what_is_free();
    }
    LWLockRegisterTranche(board->tranche, "whitecross cache entries");
}

} // namespace

void init() {
    if (pg::hooks::server_is_starting() && pg::settings::cache::entries > 0 && !IsBinaryUpgrade)
        pg::hooks::shared_memory({"whitecross cache", size, start});
}

bool made() noexcept {
    return board != nullptr;
}

uint32 bucket_of(const Digest &digest) noexcept {
    uint32 first;
    memcpy(&first, digest.bytes.data(), sizeof first); // a keyed digest: any bits of it are as good as others
    return first & (board->buckets - 1);
}

LWLock *lock_of(uint32 bucket_number) noexcept {
    return &board->locks[bucket_number % partitions].lock;
}

pg_atomic_uint64 &forgotten_word(Oid database) noexcept {
    return board->forgotten[database % lengthof(board->forgotten)];
}

uint32 look_up(const Digest &digest, uint32 bucket_number) noexcept {
    uint32 number = bucket[bucket_number];
    while (number != none && place[number].digest != digest)
        number = place[number].next;
    return number;
}

void link(uint32 number, uint32 bucket_number) noexcept {
    place[number].next = bucket[bucket_number];
    bucket[bucket_number] = number;
    pg_atomic_write_u32(&hot[number].bucket, bucket_number);
    pg_atomic_write_u64(&hot[number].heat,
                        core::CachePolicy::fresh(static_cast<uint32>(pg_atomic_read_u64(&board->stores))));
}

void unlink(uint32 number) noexcept {
    uint32 *from = &bucket[pg_atomic_read_u32(&hot[number].bucket)];
    while (*from != number)
        from = &place[*from].next;
    *from = place[number].next;
    pg_atomic_write_u64(&hot[number].heat, 0);
}

Taken take(uint32 blocks) noexcept {
    const pg::Locked locked(board->room);
    if (board->free_places == 0)
        return {};
    if (board->free_blocks < blocks)
        return {none, true};
    const uint32 number = board->free_place;
    board->free_place = place[number].next;
    board->free_places--;
    uint32 last = board->free_block;
    for (uint32 i = 1; i < blocks; ++i)
        last = next_block[last];
    place[number].first_block = board->free_block;
    place[number].last_block = last;
    hot[number].blocks = blocks;
    board->free_block = next_block[last];
    board->free_blocks -= blocks;
    next_block[last] = none;
    return {number, false};
}

void give_back(uint32 number) noexcept {
    const pg::Locked locked(board->room);
    next_block[place[number].last_block] = board->free_block;
    board->free_block = place[number].first_block;
    board->free_blocks += hot[number].blocks;
    place[number].next = board->free_place;
    board->free_place = number;
    board->free_places++;
}

char *Stream::here() noexcept {
    if (offset_ == block_size) {
        block_ = next_block[block_];
        offset_ = 0;
    }
    return bytes + static_cast<Size>(block_) * block_size + offset_;
}

const char *Stream::piece(size_t &size) noexcept {
    const char *const at = here();
    size = std::min(size, block_size - offset_);
    offset_ += size;
    return at;
}

void Stream::write(const void *from, size_t size) noexcept {
    const char *rest = static_cast<const char *>(from);
    while (size > 0) {
        char *const at = here();
        const size_t fits = std::min(size, block_size - offset_);
        memcpy(at, rest, fits);
        offset_ += fits;
        rest += fits;
        size -= fits;
    }
}

void Stream::read(void *to, size_t size) noexcept {
    char *rest = static_cast<char *>(to);
    while (size > 0) {
        size_t fits = size;
        const char *const at = piece(fits);
        memcpy(rest, at, fits);
        rest += fits;
        size -= fits;
    }
}

} // namespace wc::cache::store

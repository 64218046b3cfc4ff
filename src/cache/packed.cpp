// Rows as bytes.
#include "cache/packed.hpp"

#include "pg/compat.hpp"

extern "C" {
#include "access/detoast.h"
}

namespace wc::cache::rows {

namespace {

constexpr uint32 mark = 0x57435231;

// What stands first; then rows, each as long as its first word says; then the tables.
struct Head {
    uint32 mark;
    int32 columns;
    uint64 count;
    uint64 tables_at;
    uint64 table_count;
    int64 made_at;
};

// Room for more bytes; they are zero.
char *extend(Pack &pack, size_t more) noexcept {
    if (pack.full())
        return nullptr;
    const size_t wanted = pack.size + more;
    if (wanted > pack.most) {
        pack.too_large = true;
        return nullptr;
    }
    if (wanted > pack.room) {
        size_t room = pack.room == 0 ? 4096 : pack.room;
        while (room < wanted)
            room *= 2;
        auto *const bytes =
            static_cast<char *>(MemoryContextAllocExtended(pack.memory, room, MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM));
        if (bytes == nullptr) {
            pack.no_memory = true;
            return nullptr;
        }
        if (pack.bytes != nullptr) {
            memcpy(bytes, pack.bytes, pack.size);
            pfree(pack.bytes);
        }
        pack.bytes = bytes;
        pack.room = room;
    }
    char *const place = pack.bytes + pack.size;
    memset(place, 0, more);
    pack.size = wanted;
    return place;
}

} // namespace

MinimalTuple flat_row(TupleDesc columns, const Datum *values, const bool *nulls) {
    const int count = columns->natts;
    auto *const flat = static_cast<Datum *>(palloc(sizeof(Datum) * (count + 1)));
    auto *const null = static_cast<bool *>(palloc(sizeof(bool) * (count + 1)));
    for (int i = 0; i < count; ++i) {
        flat[i] = values[i];
        null[i] = nulls[i];
        if (nulls[i] || TupleDescAttr(columns, i)->attlen != -1)
            continue;
        auto *const value = reinterpret_cast<struct varlena *>(DatumGetPointer(values[i]));
        if (VARATT_IS_EXTERNAL(value))
            flat[i] = PointerGetDatum(detoast_external_attr(value));
    }
    return pg::compat::form_minimal_tuple(columns, flat, null);
}

void begin(Pack &pack, MemoryContext memory, size_t most) noexcept {
    pack = Pack();
    pack.memory = memory;
    pack.most = most;
    (void)extend(pack, MAXALIGN(sizeof(Head)));
}

void add(Pack &pack, MinimalTuple row) noexcept {
    char *const place = extend(pack, MAXALIGN(row->t_len));
    if (place == nullptr)
        return;
    memcpy(place, row, row->t_len);
    ++pack.count;
}

void end(Pack &pack, int columns, const Oid *tables, size_t table_count, int64 made_at) noexcept {
    const size_t at = pack.size;
    char *const place = extend(pack, MAXALIGN(sizeof(Oid) * table_count));
    if (place == nullptr)
        return;
    if (table_count > 0)
        memcpy(place, tables, sizeof(Oid) * table_count);
    const Head head = {mark, columns, pack.count, at, table_count, made_at};
    memcpy(pack.bytes, &head, sizeof(head));
}

bool read(const char *bytes, size_t size, int columns, Packed &out) noexcept {
    constexpr size_t first = MAXALIGN(sizeof(Head));
    if (size < first || reinterpret_cast<uintptr_t>(bytes) % MAXIMUM_ALIGNOF != 0)
        return false;
    Head head;
    memcpy(&head, bytes, sizeof(head));
    if (head.mark != mark || head.columns != columns || head.tables_at < first || head.tables_at > size ||
        head.table_count > (size - head.tables_at) / sizeof(Oid))
        return false;
    // The rows fill what lies between the head and the tables.
    size_t at = first;
    for (uint64 row = 0; row < head.count; ++row) {
        if (head.tables_at - at < SizeofMinimalTupleHeader)
            return false;
        const uint32 length = reinterpret_cast<const MinimalTupleData *>(bytes + at)->t_len;
        if (length < SizeofMinimalTupleHeader || MAXALIGN(length) > head.tables_at - at)
            return false;
        at += MAXALIGN(length);
    }
    if (at != head.tables_at)
        return false;
    out.rows = bytes + first;
    out.rows_end = bytes + at;
    out.count = head.count;
    out.tables = reinterpret_cast<const Oid *>(bytes + head.tables_at);
    out.table_count = head.table_count;
    out.made_at = head.made_at;
    return true;
}

void put_packed(Output &out, const Packed &packed) {
    for (const char *at = packed.rows; at < packed.rows_end;) {
        // Only read: the server has no other type for it.
        auto *const row = reinterpret_cast<MinimalTuple>(const_cast<char *>(at));
        at += MAXALIGN(row->t_len);
        put(out, row);
    }
}

} // namespace wc::cache::rows

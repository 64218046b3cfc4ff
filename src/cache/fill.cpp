// Filling.
#include "cache/fill.hpp"

#include "cache/fills.hpp"
#include "cache/generations.hpp"
#include "cache/packed.hpp"
#include "cache/run.hpp"
#include "cache/second_tier.hpp"
#include "cache/stats.hpp"
#include "cache/unkept.hpp"
#include "cache/watch.hpp"
#include "pg/clock.hpp"
#include "pg/guc_cache.hpp"

#include <algorithm>

namespace wc::cache {

namespace {

// Memory for the rows as bytes, which goes at once.
class RowMemory {
  public:
    RowMemory()
        : context_(pg::call([] {
              return AllocSetContextCreate(CurrentMemoryContext, "whitecross cached rows", ALLOCSET_SMALL_SIZES);
          })) {}
    RowMemory(const RowMemory &) = delete;
    RowMemory &operator=(const RowMemory &) = delete;
    ~RowMemory() { MemoryContextDelete(context_); }
    [[nodiscard]] MemoryContext context() const noexcept { return context_; }

  private:
    MemoryContext context_;
};

// A relation that any session reads the same of: not a temporary or foreign table, nor a catalogue. Of those that the
// question itself reads this is known.
bool same_for_all(Oid table) {
    if (table < FirstNormalObjectId)
        return false;
    return pg::call([=] {
        HeapTuple const row = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
        if (!HeapTupleIsValid(row))
            return false;
        const auto *const form = reinterpret_cast<Form_pg_class>(GETSTRUCT(row));
        const bool same = form->relpersistence != RELPERSISTENCE_TEMP && form->relkind != RELKIND_FOREIGN_TABLE &&
                          form->relkind != RELKIND_SEQUENCE;
        ReleaseSysCache(row);
        return same;
    });
}

// What an entry depends on: what was known of it before, and what has been read besides.
struct Findings {
    std::vector<Oid> tables;
    std::vector<Dependency> dependencies;
};

// Empty: they are found. Else why the rows can't be kept.
std::optional<Refusal> find_dependencies(const Asked &asked, const Watch &watch, Findings &out) {
    if (!watch.seen_all())
        return Refusal::Unseen;
    const auto &known = asked.question.tables();
    const auto read = watch.tables();
    std::vector<Oid> more;
    std::set_difference(read.begin(), read.end(), known.begin(), known.end(), std::back_inserter(more));
    for (const Oid table : more)
        if (!same_for_all(table))
            return Refusal::Unseen;
    std::set_union(known.begin(), known.end(), more.begin(), more.end(), std::back_inserter(out.tables));
    const auto own = generations::own_writes();
    if (own.catalogue)
        return Refusal::OwnDdl;
    if (!own.none() && std::any_of(out.tables.begin(), out.tables.end(), [&](Oid table) { return own.wrote(table); }))
        return Refusal::OwnWrites;
    std::vector<uint32> cells = asked.question.cells();
    for (const Oid table : more)
        cells.push_back(generations::cell_of(MyDatabaseId, table));
    if (cells.size() > store::most_dependencies)
        return Refusal::TooManyTables;
    out.dependencies.resize(cells.size());
    for (size_t i = 0; i < cells.size(); ++i)
        if (!generations::note(cells[i], asked.since, out.dependencies[i]))
            return Refusal::Written;
    return {};
}

store::About about(const Asked &asked, const Findings &findings, int64 ttl_ms, double cost_ms, uint64 since) {
    store::About out;
    out.role = GetUserId();
    out.query_id = asked.question.query_id();
    out.ttl_ms = ttl_ms;
    out.tag = asked.parameters.tag;
    out.cost_ms = cost_ms;
    out.since = since;
    out.dependencies = findings.dependencies.data();
    out.dependency_count = findings.dependencies.size();
    out.tables = findings.tables.data();
    out.table_count = findings.tables.size();
    return out;
}

// The name of the entry in the second tier, as things are now; empty: there is none, or what it depends on is being
// written.
std::optional<second_tier::Name> second_name(const Asked &asked) {
    if (!second_tier::configured())
        return {};
    const auto &cells = asked.question.cells();
    std::vector<Dependency> known(cells.size());
    const uint64 now = generations::moment();
    for (size_t i = 0; i < cells.size(); ++i)
        if (!generations::note(cells[i], now, known[i]))
            return {};
    return second_tier::name_of(asked.digest, known.data(), known.size());
}

// Whether the second tier has had the rows, and the transaction may see them; then they are put out, and into the
// first.
bool fetch(const Asked &asked, const second_tier::Name &name) {
    second_tier::Found found;
    if (!second_tier::fetch(name, asked.parameters.tag.data() != nullptr, found))
        return false;
    const second_tier::Entry &entry = found.entry;
    const RowMemory memory;
    MemoryContext const context = memory.context();
    const size_t size = entry.size;
    const void *const bytes = entry.bytes;
    // As the server aligns its memory, whatever the network's buffer did.
    const auto *const aligned = pg::call([=] {
        void *const copy = MemoryContextAllocHuge(context, size);
        memcpy(copy, bytes, size);
        return static_cast<const char *>(copy);
    });
    if (take(asked, aligned, size) != Taken::Yes)
        return false;
    const Findings findings = {{entry.tables, entry.tables + entry.table_count},
                               {entry.dependencies, entry.dependencies + entry.dependency_count}};
    store::put(asked.digest,
               about(asked, findings, std::min(entry.ttl_ms, asked.parameters.ttl_ms), entry.cost_ms, asked.since),
               aligned, size);
    return true;
}

} // namespace

Taken take(const Asked &asked, const char *bytes, size_t size) {
    rows::Packed packed;
    if (!rows::read(bytes, size, asked.out.given->natts, packed) ||
        (pg::clock::microseconds() - packed.made_at) / 1000 >= asked.parameters.ttl_ms)
        return Taken::No;
    const auto own = generations::own_writes();
    if (!own.none() &&
        std::any_of(packed.tables, packed.tables + packed.table_count, [&](Oid table) { return own.wrote(table); }))
        return Taken::OwnWrites;
    pg::call([&out = asked.out, packed] { rows::put_packed(out, packed); });
    return Taken::Yes;
}

bool Turn::take(const Digest &digest) {
    if (unkept::is(digest))
        return false;
    const auto given = fills::take_turn(digest);
    mine_ = given == fills::Turn::Mine;
    return given != fills::Turn::Alone;
}

void Turn::end() noexcept {
    if (mine_)
        fills::end_turn();
    mine_ = false;
}

void fill(const Asked &asked, Turn &turn) {
    const auto name = second_name(asked);
    if (name && fetch(asked, *name))
        return;
    const RowMemory memory;
    rows::Pack pack;
    rows::begin(pack, memory.context(), static_cast<size_t>(pg::settings::cache::max_entry) * 1024);
    Run run(asked.question, asked.shape, asked.out, &pack);
    const Watch watch(run.rows());
    const int64 began = pg::clock::microseconds();
    const double cost_ms = run(asked.values);

    Findings findings;
    auto refusal = find_dependencies(asked, watch, findings);
    if (!refusal && pack.full())
        refusal = pack.too_large ? Refusal::TooLarge : Refusal::NoMemory;
    if (!refusal) {
        rows::end(pack, asked.out.given->natts, findings.tables.data(), findings.tables.size(), began);
        if (pack.full())
            refusal = pack.too_large ? Refusal::TooLarge : Refusal::NoMemory;
    }
    if (refusal) {
        stats::refused(*refusal);
        if (refusal == Refusal::TooLarge || refusal == Refusal::Unseen || refusal == Refusal::TooManyTables)
            unkept::remember(asked.digest);
        return;
    }
    unkept::forget(asked.digest);
    const auto stored = store::put(asked.digest, about(asked, findings, asked.parameters.ttl_ms, cost_ms, asked.since),
                                   pack.bytes, pack.size);
    turn.end();
    if (!name || stored != store::Stored::Stored)
        return;
    second_tier::Entry entry;
    entry.since = asked.since;
    entry.ttl_ms = asked.parameters.ttl_ms;
    entry.cost_ms = cost_ms;
    entry.tagged = asked.parameters.tag.data() != nullptr;
    entry.dependencies = findings.dependencies.data();
    entry.dependency_count = findings.dependencies.size();
    entry.tables = findings.tables.data();
    entry.table_count = findings.tables.size();
    entry.bytes = pack.bytes;
    entry.size = pack.size;
    second_tier::keep(*name, entry);
}

} // namespace wc::cache

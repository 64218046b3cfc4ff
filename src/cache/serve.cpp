// Serving a query's rows.
//
// The order of events is what makes it right. The moment is taken before anything is looked at; then invalidation
// messages are accepted, the tables locked and privileges checked; then the entry's generations are compared. What is
// computed is kept only if nothing that it depends on has moved since that moment.
#include "cache/serve.hpp"

#include "cache/fill.hpp"
#include "cache/generations.hpp"
#include "cache/run.hpp"
#include "cache/secret.hpp"
#include "cache/stats.hpp"
#include "cache/watch.hpp"
#include "pg/freed_memory.hpp"
#include "pg/guc_cache.hpp"

#include <algorithm>

extern "C" {
#include "catalog/pg_inherits.h"
}

namespace wc::cache {

namespace {

// Why this session can't use the cache now; empty: it can.
std::optional<Refusal> refusal_of_session(const generations::OwnWrites &own) {
    if (!secret::made())
        return Refusal::NotPreloaded;
    if (!store::made() || !pg::settings::cache::on)
        return Refusal::Off;
    if (RecoveryInProgress())
        return Refusal::Recovery;
    if (!generations::usable())
        return Refusal::NotReady;
    if (IsolationUsesXactSnapshot())
        return Refusal::Isolation;
    if (own.catalogue)
        return Refusal::OwnDdl;
    return {};
}

// A temporary table of this session that inherits from one of the tables: its rows are this session's alone.
bool has_temporary_child(const std::vector<Oid> &tables) {
    Oid schema;
    Oid toast_schema;
    GetTempNamespaceState(&schema, &toast_schema);
    if (!OidIsValid(schema))
        return false;
    const Oid *const list = tables.data();
    const size_t count = tables.size();
    return pg::call([=] {
        for (size_t i = 0; i < count; ++i) {
            if (!has_subclass(list[i]) || get_rel_relkind(list[i]) == RELKIND_PARTITIONED_TABLE)
                continue;
            const ListCell *cell;
            foreach (cell, find_all_inheritors(list[i], NoLock, nullptr))
                if (get_rel_namespace(lfirst_oid(cell)) == schema)
                    return true;
        }
        return false;
    });
}

std::optional<Refusal> refusal_of_question(const Question &question, Shape shape, const generations::OwnWrites &own) {
    if (const auto refusal = shape == Shape::Json ? question.refusal_as_json() : question.refusal())
        return refusal;
    const auto &tables = question.tables();
    if (!own.none() && std::any_of(tables.begin(), tables.end(), [&](Oid table) { return own.wrote(table); }))
        return Refusal::OwnWrites;
    if (has_temporary_child(tables))
        return Refusal::TemporaryTable;
    return {};
}

// The name of its entry. Rows that are known by a tag are an entry of their own: what is told to go by its tag must not
// come back from another's.
Digest name_of(const Question &question, const Parameters &parameters, ParamListInfo values, Shape shape) {
    std::string form;
    if (parameters.tag.data() != nullptr)
        form.append("tag ").append(parameters.tag);
    // A name in a function may be that of a temporary table of this session.
    Oid schema = InvalidOid;
    Oid toast_schema = InvalidOid;
    if (question.calls_own_functions())
        GetTempNamespaceState(&schema, &toast_schema);
    if (OidIsValid(schema))
        form.append(1, '\0').append(std::to_string(schema));
    return question.digest(values, shape, form);
}

Taken look(const Asked &asked) {
    store::Copy copy;
    if (store::find(asked.digest, copy) != store::Look::Hit)
        return Taken::No;
    pg::keep_freed_memory();
    const Taken taken = take(asked, copy.bytes, copy.size);
    pfree(copy.bytes);
    return taken;
}

void run_plainly(const Question &question, Shape shape, rows::Output &out, ParamListInfo values) {
    Run run(question, shape, out, nullptr);
    run(values);
}

// Rows of the first tier, of somebody's who is computing them, or computed. Empty: they are put out.
std::optional<Refusal> answer(const Asked &asked) {
    Taken taken = look(asked);
    Turn turn;
    if (taken == Taken::No && turn.take(asked.digest))
        taken = look(asked);
    if (taken == Taken::OwnWrites)
        return Refusal::OwnWrites;
    if (taken == Taken::Yes) {
        stats::count(stats::Counter::Hits);
        return {};
    }
    stats::count(stats::Counter::Misses);
    fill(asked, turn);
    return {};
}

} // namespace

Datum serve(FunctionCallInfo fcinfo, Shape shape, int first) {
    Watch::unseen(); // what this call reads, a query around it that is being kept doesn't see
    const Parameters parameters = read_parameters(fcinfo, first);
    rows::Output out = pg::call([=] { return rows::open(fcinfo); });

    const auto own = generations::own_writes();
    auto refusal = refusal_of_session(own);
    const uint64 since = generations::moment();
    const bool knows_names = !refusal || (*refusal == Refusal::Isolation && !own.catalogue);
    const Question question =
        Question::ask(parameters.query, parameters.count, knows_names ? Memory::Use : Memory::Bypass);
    TupleDesc const row = question.row();
    if (row == nullptr)
        throw pg::Error(ERRCODE_FEATURE_NOT_SUPPORTED, "the query returns no rows", {},
                        "Run it by itself, or have it return rows (RETURNING).");
    pg::call([=, to = &out] { rows::fit(*to, shape == Shape::Json ? json_row() : CreateTupleDescCopy(row)); });
    ParamListInfo const values = question.bind(parameters.values);

    if (!refusal)
        refusal = refusal_of_question(question, shape, own);
    if (!refusal) {
        question.check_permissions();
        refusal =
            answer({question, parameters, values, shape, name_of(question, parameters, values, shape), since, out});
    }
    if (refusal) {
        stats::refused(*refusal);
        run_plainly(question, shape, out, values);
    }
    return static_cast<Datum>(0);
}

} // namespace wc::cache

// From a text to a prepared statement, and what it is found to be.
#include "cache/analysis.hpp"

#include "cache/cacheable.hpp"
#include "cache/generations.hpp"
#include "pg/spi.hpp"

#include <algorithm>

extern "C" {
#include "access/transam.h"
#include "nodes/nodes.h"
#include "parser/analyze.h"
#include "parser/parser.h"
}

namespace wc::cache {

namespace {

// ---- Plain server code.

// A position in the text is one in an internal query, or the client would look for it in its own.
void tell_position(void *text) {
    const int position = geterrposition();
    if (position <= 0)
        return;
    errposition(0);
    internalerrposition(position);
    internalerrquery(static_cast<const char *>(text));
}

[[noreturn]] void raise_count(int wanted, int given) {
    const bool too_few = wanted > given;
    const char *const parameters =
        wanted == 0 ? "The query has no parameters" : psprintf("The query has parameters up to $%d", wanted);
    ereport(ERROR, (errcode(too_few ? ERRCODE_UNDEFINED_PARAMETER : ERRCODE_PROTOCOL_VIOLATION),
                    too_few ? errmsg("there is no value for parameter $%d", wanted)
                            : errmsg("there is no parameter $%d in the query", given),
                    errdetail_plural("%s, and %d value is given.", "%s, and %d values are given.",
                                     static_cast<unsigned long>(given), parameters, given)));
}

// The types of a statement's parameters.
Oid *infer_types(const char *text, int count) {
    ErrorContextCallback callback = {error_context_stack, tell_position, const_cast<char *>(text)};
    error_context_stack = &callback;
    List *statements = raw_parser(text, RAW_PARSE_DEFAULT);
    if (list_length(statements) != 1)
        ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
                        errmsg(statements == NIL ? "there is no statement" : "more than one statement"),
                        errhint("Give one statement.")));
    auto *types = static_cast<Oid *>(palloc0(sizeof(Oid) * (count + 1)));
    int found = count;
    (void)parse_analyze_varparams(linitial_node(RawStmt, statements), text, &types, &found, nullptr);
    int wanted = 0;
    for (int i = 0; i < found; ++i) {
        if (OidIsValid(types[i]))
            wanted = i + 1;
        if (!OidIsValid(types[i]) || types[i] == UNKNOWNOID)
            types[i] = TEXTOID;
    }
    if (wanted != count)
        raise_count(wanted, count);
    error_context_stack = callback.previous;
    return types;
}

// What is found, in memory that the caller deletes.
struct Found {
    Verdict verdict;
    const char *tree;
    size_t length;
    uint64 query_id;
};

Found look(const CachedPlanSource *source, bool digested) {
    Found found = {};
    found.verdict = verdict_of(source->query_list, source->resultDesc, source->raw_parse_tree);
    const MemoryContext outer = MemoryContextSwitchTo(source->query_context);
    found.verdict.checked = list_copy(found.verdict.checked);
    MemoryContextSwitchTo(outer);
    if (source->query_list != NIL)
        found.query_id = linitial_node(Query, source->query_list)->queryId;
    if (digested && !found.verdict.refused) {
        found.tree = nodeToString(source->query_list);
        found.length = strlen(found.tree);
    }
    return found;
}

// ---- C++.

std::vector<Oid> oids(List *list) {
    std::vector<Oid> out;
    for (int i = 0; i < list_length(list); ++i)
        out.push_back(list_nth_oid(list, i));
    std::sort(out.begin(), out.end());
    return out;
}

std::vector<uint32> cells_of(const std::vector<Oid> &tables, const std::vector<Oid> &functions) {
    std::vector<uint32> cells = {generations::everything_cell(), generations::rules_cell(MyDatabaseId),
                                 generations::rules_cell(InvalidOid)};
    // A function of the site's own looks names up when it runs (a domain that it casts to, say), and may call others
    // with rights that a role has by being a member of another.
    if (!functions.empty() && functions.back() >= FirstNormalObjectId) {
        cells.push_back(generations::names_cell(MyDatabaseId));
        cells.push_back(generations::names_cell(InvalidOid));
    }
    for (const Oid table : tables)
        cells.push_back(generations::cell_of(MyDatabaseId, table));
    std::sort(cells.begin(), cells.end());
    cells.erase(std::unique(cells.begin(), cells.end()), cells.end());
    return cells;
}

template <typename T> std::string_view bytes_of(const T &value) {
    return {reinterpret_cast<const char *>(&value), sizeof(value)};
}

// Memory for what is only looked at; gone with the object, or, where an error passes that ends more, with its parent.
class Scratch {
  public:
    Scratch() {
        context_ = pg::call(
            [] { return AllocSetContextCreate(CurrentMemoryContext, "whitecross question", ALLOCSET_DEFAULT_SIZES); });
        outer_ = MemoryContextSwitchTo(context_);
    }
    Scratch(const Scratch &) = delete;
    Scratch &operator=(const Scratch &) = delete;
    ~Scratch() {
        MemoryContextSwitchTo(outer_);
        MemoryContextDelete(context_);
    }

  private:
    MemoryContext context_;
    MemoryContext outer_;
};

} // namespace

SPIPlanPtr prepare(const char *text, int count) {
    pg::Spi spi; // and memory for the time being
    return pg::call([=] {
        Oid *types = infer_types(text, count);
        SPIPlanPtr plan = SPI_prepare_cursor(text, count, types, CURSOR_OPT_CUSTOM_PLAN | CURSOR_OPT_PARALLEL_OK);
        if (plan == nullptr)
            elog(ERROR, "could not prepare a statement: %s", SPI_result_code_string(SPI_result));
        (void)SPI_keepplan(plan);
        return plan;
    });
}

std::shared_ptr<const Facts> facts_of(const CachedPlanSource *source) {
    const Scratch scratch;
    const bool digested = secret::made();
    const Found found = pg::call([=] { return look(source, digested); });
    auto facts = std::make_shared<Facts>();
    if (found.verdict.refused)
        facts->refusal = found.verdict.refusal;
    facts->prints_alike = found.verdict.prints_alike;
    facts->query_id = found.query_id;
    facts->tables = oids(found.verdict.tables);
    facts->functions = oids(found.verdict.functions);
    facts->cells = cells_of(facts->tables, facts->functions);
    facts->checked = found.verdict.checked;
    if (found.tree != nullptr) {
        const Oid role = GetUserId();
        const std::string_view parts[] = {bytes_of(MyDatabaseId), bytes_of(role), {found.tree, found.length}};
        facts->code = secret::code_of("question", parts, std::size(parts));
    }
    return facts;
}

} // namespace wc::cache

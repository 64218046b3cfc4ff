// A normalised statement, analysed without its values.
//
// The server's own hooks for a statement's analysis are left out: what counts statements shall not see these.
#include "pg/unbound.hpp"

#include "core/parsable.hpp"
#include "pg/compat.hpp"

#include <algorithm>

extern "C" {
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parse_param.h"
#include "parser/parser.h"
#include "rewrite/rewriteHandler.h"
}

namespace wc::pg {

namespace {

// ---- Plain server code.

// Two expressions that were the same have different parameters, since each constant has a number of its own: so this
// compares copies without numbers.
bool forget_numbers(Node *node, void *context) {
    if (node == nullptr)
        return false;
    if (IsA(node, ParamRef))
        reinterpret_cast<ParamRef *>(node)->number = 0;
    return raw_expression_tree_walker(node, compat::walker(forget_numbers), context);
}

Node *without_numbers(Node *node) {
    auto *copy = static_cast<Node *>(copyObjectImpl(node));
    (void)forget_numbers(copy, nullptr);
    return copy;
}

bool has_parameter(Node *node, void *context) {
    if (node == nullptr)
        return false;
    return IsA(node, ParamRef) || raw_expression_tree_walker(node, compat::walker(has_parameter), context);
}

// What GROUP BY or ORDER BY names is mostly an expression of the SELECT list: then it is that, parameters and all.
Node *as_selected(Node *node, const List *targets) {
    if (!has_parameter(node, nullptr))
        return node;
    Node *const wanted = without_numbers(node);
    ListCell *cell;
    foreach (cell, targets) {
        Node *value = lfirst_node(ResTarget, cell)->val;
        if (equal(wanted, without_numbers(value)))
            return static_cast<Node *>(copyObjectImpl(value));
    }
    return node;
}

// ORDER BY 2 and GROUP BY 1, 2 have become $n. In GROUP BY they are taken for the first columns, which is what is
// mostly written; else the analysis fails. In ORDER BY nothing tells which column that was: it goes.
bool settle(Node *node, void *context) {
    if (node == nullptr)
        return false;
    if (IsA(node, SelectStmt)) {
        auto *select = reinterpret_cast<SelectStmt *>(node);
        int number = 0;
        ListCell *cell;
        foreach (cell, select->groupClause) {
            auto *group = static_cast<Node *>(lfirst(cell));
            if (IsA(group, ParamRef)) {
                auto *position = makeNode(A_Const);
                position->val.ival.type = T_Integer;
                position->val.ival.ival = ++number;
                lfirst(cell) = position;
            } else {
                lfirst(cell) = as_selected(group, select->targetList);
            }
        }
        foreach (cell, select->sortClause) {
            auto *sort = lfirst_node(SortBy, cell);
            if (IsA(sort->node, ParamRef))
                select->sortClause = foreach_delete_current(select->sortClause, cell);
            else
                sort->node = as_selected(sort->node, select->targetList);
        }
    }
    return raw_expression_tree_walker(node, compat::walker(settle), context);
}

} // namespace

List *analyse_unbound(const char *text, const Oid *types, int count) {
    List *raw = raw_parser(text, RAW_PARSE_DEFAULT);
    if (list_length(raw) != 1)
        ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("not one statement")));
    auto *statement = linitial_node(RawStmt, raw);
    switch (nodeTag(statement->stmt)) {
    case T_SelectStmt:
    case T_InsertStmt:
    case T_UpdateStmt:
    case T_DeleteStmt:
    case T_MergeStmt:
        break;
    default:
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("the statement has no plan")));
    }
    (void)settle(statement->stmt, nullptr);
    auto *known = static_cast<Oid *>(palloc0(sizeof(Oid) * (count + 1)));
    for (int i = 0; i < count; ++i)
        known[i] = types[i];
    int number = count;
    ParseState *state = make_parsestate(nullptr);
    state->p_sourcetext = text;
    setup_parse_variable_parameters(state, &known, &number);
    Query *query = transformTopLevelStmt(state, statement);
    if (query->commandType == CMD_UTILITY)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("the statement has no plan")));
    check_variable_parameters(state, query);
    free_parsestate(state);
    return QueryRewrite(query);
}

namespace {

void keep_position(void *place) {
    *static_cast<int *>(place) = geterrposition();
}

// The same for the position of its error alone, in characters from 1, which a guard's report has not.
void analyse_noting_position(const char *text, const Oid *types, int count, int *position) {
    ErrorContextCallback callback = {error_context_stack, keep_position, position};
    error_context_stack = &callback;
    (void)analyse_unbound(text, types, count);
    error_context_stack = callback.previous;
}

// ---- C++.

bool of_types(int sqlstate) {
    return sqlstate == ERRCODE_UNDEFINED_FUNCTION || sqlstate == ERRCODE_AMBIGUOUS_FUNCTION ||
           sqlstate == ERRCODE_DATATYPE_MISMATCH || sqlstate == ERRCODE_CANNOT_COERCE ||
           sqlstate == ERRCODE_INDETERMINATE_DATATYPE || sqlstate == ERRCODE_AMBIGUOUS_PARAMETER;
}

struct Analysed {
    std::optional<Error> error;
    size_t position = 0; // of the error, in bytes
};

Analysed analysis_of(const Unbound &statement) {
    const char *const text = statement.text.c_str();
    const Oid *const types = statement.types.data();
    const int count = static_cast<int>(statement.types.size());
    Analysed out;
    int characters = 0;
    int *const place = &characters;
    out.error = aside(statement, [=] { call([=] { analyse_noting_position(text, types, count, place); }); });
    if (out.error && characters > 0) {
        // Not beyond the end, whatever the position is of.
        const int before = std::min(characters - 1, pg_mbstrlen(text));
        out.position = static_cast<size_t>(pg_mbcharcliplen(text, static_cast<int>(statement.text.size()), before));
    }
    return out;
}

// current_date - $1 is read as the difference of two dates. So, where types don't fit, parameters near the error are
// tried as numbers, intervals and so on, as long as the error goes, or moves on.
} // namespace

std::optional<Error> make_analysable(Unbound &statement) {
    statement.text = core::parsable(statement.text);
    constexpr int most_guesses = 100;
    constexpr size_t most_parameters = 4;
    static constexpr Oid of_values[] = {INT4OID, INTERVALOID, TEXTOID, TIMESTAMPTZOID, NUMERICOID};
    static constexpr Oid of_any[] = {TEXTOID, INT4OID, INTERVALOID, TIMESTAMPTZOID, NUMERICOID};
    Analysed now = analysis_of(statement);
    for (int round = 0; round < most_guesses && now.error && of_types(now.error->sqlstate()); ++round) {
        // A parameter that nothing tells the type of, at the place of the error: any type will do.
        const bool any = now.error->sqlstate() == ERRCODE_INDETERMINATE_DATATYPE;
        std::vector<int> parameters = core::parameters_near(statement.text, now.position);
        parameters.resize(std::min(parameters.size(), any ? 1 : most_parameters));
        std::optional<Unbound> best; // what leaves no error, or the one that is furthest on
        Analysed then = now;
        for (const int parameter : parameters) {
            const auto place = static_cast<size_t>(parameter) - 1;
            if (parameter < 1 || (place < statement.types.size() && OidIsValid(statement.types[place])))
                continue;
            for (const Oid type : any ? of_any : of_values) {
                Unbound guess = statement;
                guess.types.resize(std::max(guess.types.size(), place + 1), InvalidOid);
                guess.types[place] = type;
                Analysed here = analysis_of(guess);
                if (here.error && here.position <= then.position && !(any && here.position != now.position && !best))
                    continue;
                best = std::move(guess);
                then = std::move(here);
                if (!then.error || any)
                    break;
            }
            if (best && !then.error)
                break;
        }
        if (!best)
            break;
        statement = std::move(*best);
        now = std::move(then);
    }
    return now.error;
}

Unplanned why_unplanned(const Error &error) {
    Unplanned out;
    out.sqlstate = error.sqlstate();
    switch (out.sqlstate) {
    case ERRCODE_FEATURE_NOT_SUPPORTED:
        out.reason = "it is a command that has no plan, or uses what this server has not";
        break;
    case ERRCODE_SYNTAX_ERROR:
        out.reason = "its text without constants can't be read: it was cut, or a constant stood where nothing else may";
        break;
    case ERRCODE_INSUFFICIENT_PRIVILEGE:
        out.reason = "the role may not run it";
        break;
    case ERRCODE_LOCK_NOT_AVAILABLE:
        out.reason = "a table that it reads is locked";
        break;
    case ERRCODE_UNDEFINED_TABLE:
    case ERRCODE_UNDEFINED_COLUMN:
    case ERRCODE_INVALID_SCHEMA_NAME:
    case ERRCODE_UNDEFINED_OBJECT:
        out.reason = "what it names is not there, or not in search_path";
        break;
    case ERRCODE_GROUPING_ERROR:
    case ERRCODE_INVALID_COLUMN_REFERENCE:
        out.reason = "it groups by the number of a column, which is a constant";
        break;
    case ERRCODE_UNDEFINED_FUNCTION:
    case ERRCODE_AMBIGUOUS_FUNCTION:
    case ERRCODE_DATATYPE_MISMATCH:
    case ERRCODE_CANNOT_COERCE:
    case ERRCODE_INDETERMINATE_DATATYPE:
    case ERRCODE_AMBIGUOUS_PARAMETER:
        out.reason = "the types of its constants don't follow from its text";
        break;
    default:
        out.reason = condition_name(out.sqlstate);
        std::replace(out.reason.begin(), out.reason.end(), '_', ' ');
    }
    return out;
}

} // namespace wc::pg

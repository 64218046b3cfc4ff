// Indexes that statements would be quicker with: the patterns are planned as they are, candidates are made of what they
// ask, tried as hypothetical indexes, and chosen by what they save.
#include "observe/suggest.hpp"

#include "core/index_choice.hpp"
#include "observe/hypothetical.hpp"
#include "pg/guc.hpp"
#include "pg/transaction.hpp"
#include "pg/what_if.hpp"

#include <algorithm>
#include <cmath>

namespace wc::observe {

namespace {

constexpr size_t most_suggestions = 20;
constexpr size_t most_candidates = 500; // tried at all

void check(const SuggestOptions &options) {
    if (!(options.min_gain_percent >= 1 && options.min_gain_percent <= 100))
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "min_gain_percent must be between 1 and 100", {},
                        "20 asks for a fifth of a statement's cost.");
    if (!(options.min_table_rows >= 0))
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "min_table_rows must not be negative", {},
                        "1000 leaves out tables with fewer rows than that.");
}

// Runs work in a subtransaction, and then after(), however work ended: an error too, a cancel too. Nothing is called
// while an exception is being handled.
template <typename Work, typename After> void with_end(Work &&work, After &&after) {
    std::optional<pg::Error> failure;
    std::exception_ptr foreign;
    try {
        failure = pg::attempt([&] {
            pg::SettingScope scope;
            const std::string timeout = std::to_string(pg::settings::lock_timeout);
            scope.set("lock_timeout", timeout.c_str());
            work();
        });
    } catch (...) {
        foreign = std::current_exception();
    }
    after();
    if (foreign)
        std::rethrow_exception(foreign);
    if (failure)
        throw *failure;
}

// Once a lock was waited for in vain, no other is waited for: many statements read the same table.
void wait_no_more(pg::SettingScope &scope) {
    scope.set("lock_timeout", "1");
}

// One statement, with what planning it tells.
struct Judged {
    pg::Unbound statement;
    pg::Outlook outlook;
};

// The role that a pattern is planned as, or why it isn't.
std::string role_of(const PatternIn &pattern, Oid *role) {
    *role = InvalidOid;
    const Oid found = pattern.role;
    if (!OidIsValid(found))
        return {};
    if (!pg::call([=] { return SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(found)); }))
        return "its role is not there any more";
    if (!pg::call([=] { return has_privs_of_role(GetUserId(), found); }))
        return "it is another role's, which you are not a member of";
    *role = found;
    return {};
}

Judged judge(const PatternIn &pattern) {
    Judged out;
    out.statement.text = pattern.text;
    const std::string refused = role_of(pattern, &out.statement.role);
    if (!refused.empty())
        out.outlook.why = {ERRCODE_INSUFFICIENT_PRIVILEGE, refused};
    else
        out.outlook = pg::outlook(out.statement);
    return out;
}

struct Table {
    std::string name; // qualified and quoted
    int64_t writes = 0;
};

// Writes: each row inserted or deleted, and each update that made new entries in the indexes.
Table table_of(pg::Spi &spi, unsigned oid) {
    const pg::Result found =
        spi.read("SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), "
                 "pg_catalog.pg_stat_get_tuples_inserted(c.oid) + pg_catalog.pg_stat_get_tuples_deleted(c.oid) "
                 "+ pg_catalog.pg_stat_get_tuples_updated(c.oid) - pg_catalog.pg_stat_get_tuples_hot_updated(c.oid) "
                 "FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace "
                 "WHERE c.oid = $1::oid",
                 {std::to_string(oid)});
    if (found.rows.empty())
        return {};
    return {*found.rows.front()[0], std::stoll(found.rows.front()[1].value_or("0"))};
}

bool among(const std::vector<core::KeyColumn> &columns, const core::KeyColumn &column) {
    return std::any_of(columns.begin(), columns.end(),
                       [&](const core::KeyColumn &one) { return one.sql == column.sql; });
}

// What a statement asks of a column of a candidate; empty: nothing.
std::string purpose(const core::KeyColumn &column, const core::Candidate &candidate,
                    const core::AskingStatement &statement) {
    for (const core::TableUse &use : statement.uses) {
        if (!core::serves(use, candidate))
            continue;
        const bool ordered =
            std::any_of(use.orders.begin(), use.orders.end(), [&](const auto &order) { return among(order, column); });
        if (among(use.equal, column))
            return "is compared for equality";
        if (among(use.joined, column))
            return "is joined";
        if (among(use.range, column))
            return ordered ? "is compared and gives the order" : "is compared";
        if (ordered)
            return "gives the order";
    }
    return {};
}

std::string create_index(const std::string &table, const core::Candidate &candidate, const char *how) {
    return std::string("CREATE INDEX ") + how + "ON " + table + " (" + candidate.definition() + ")";
}

// The candidates of statements, each once: the first of each use, of what costs most before the rest, then the second
// of each, and so on.
std::vector<core::Candidate> candidates_of(const std::vector<core::AskingStatement> &statements) {
    std::vector<const core::AskingStatement *> order;
    for (const core::AskingStatement &statement : statements)
        order.push_back(&statement);
    std::stable_sort(order.begin(), order.end(),
                     [](const auto *a, const auto *b) { return a->calls * a->cost > b->calls * b->cost; });
    std::vector<std::vector<core::Candidate>> lists;
    size_t longest = 0;
    for (const core::AskingStatement *const statement : order)
        for (const core::TableUse &use : statement->uses) {
            lists.push_back(core::candidates_for(use));
            std::erase_if(lists.back(), [&](const core::Candidate &one) { return core::covered(use, one); });
            longest = std::max(longest, lists.back().size());
        }
    std::vector<core::Candidate> all;
    std::set<std::pair<unsigned, std::string>> known;
    for (size_t place = 0; place < longest; ++place)
        for (const std::vector<core::Candidate> &list : lists)
            if (place < list.size() && all.size() < most_candidates &&
                known.emplace(list[place].table, list[place].definition()).second)
                all.push_back(list[place]);
    return all;
}

class Search {
  public:
    Search(pg::Spi &spi, const Hypothetical &hypothetical, const std::vector<PatternIn> &patterns,
           const SuggestOptions &options)
        : spi_(spi), hypothetical_(hypothetical), patterns_(patterns), options_(options) {}

    std::vector<Suggestion> run() {
        {
            pg::SettingScope scope;
            scope.set("search_path", options_.search_path.c_str());
            look(scope);
        }
        make();
        std::vector<core::Choice> chosen;
        {
            pg::SettingScope scope;
            scope.set("search_path", options_.search_path.c_str());
            scope.set("hypopg.enabled", "on");
            const auto costs_of = [&](size_t statement, const std::vector<std::vector<size_t>> &sets) {
                std::vector<std::vector<Oid>> visible;
                for (const std::vector<size_t> &set : sets) {
                    visible.emplace_back();
                    for (const size_t candidate : set)
                        visible.back().push_back(indexes_[candidate].oid);
                }
                const std::vector<double> costs = pg::costs_with(judged_[statement].statement, visible);
                if (std::any_of(costs.begin(), costs.end(), [](double cost) { return std::isinf(cost); }))
                    wait_no_more(scope);
                return costs;
            };
            chosen = core::choose(asking_, candidates_, costs_of, options_.min_gain_percent / 100, most_suggestions);
        }
        std::vector<Suggestion> all;
        for (const core::Choice &choice : chosen)
            all.push_back(suggestion(choice));
        return all;
    }

  private:
    // Plans the patterns as they are, and keeps those that ask something of a table that is large enough.
    void look(pg::SettingScope &scope) {
        for (size_t i = 0; i < patterns_.size(); ++i) {
            pg::check_for_interrupts();
            Judged judged = judge(patterns_[i]);
            if (judged.outlook.why.sqlstate == ERRCODE_LOCK_NOT_AVAILABLE)
                wait_no_more(scope);
            if (judged.outlook.why.failed())
                continue;
            core::AskingStatement asking;
            asking.calls = static_cast<double>(std::max<int64_t>(patterns_[i].calls, 1));
            asking.cost = judged.outlook.cost;
            for (core::TableUse &use : judged.outlook.uses)
                if (judged.outlook.rows[use.table] >= options_.min_table_rows)
                    asking.uses.push_back(std::move(use));
            if (asking.uses.empty())
                continue;
            asking_.push_back(std::move(asking));
            judged_.push_back(std::move(judged));
            number_.push_back(i);
        }
    }

    // Makes the hypothetical indexes. A table that went since leaves its candidates out.
    void make() {
        pg::SettingScope scope;
        for (core::Candidate &candidate : candidates_of(asking_)) {
            pg::check_for_interrupts();
            if (!tables_.contains(candidate.table))
                tables_[candidate.table] = table_of(spi_, candidate.table);
            const std::string &table = tables_[candidate.table].name;
            if (table.empty())
                continue;
            HypotheticalIndex made;
            const auto failure = pg::attempt([&] {
                pg::Spi spi;
                made = hypothetical_.create(spi, create_index(table, candidate, ""));
            });
            if (failure) {
                if (failure->sqlstate() == ERRCODE_LOCK_NOT_AVAILABLE)
                    wait_no_more(scope);
                continue;
            }
            indexes_.push_back(made);
            candidates_.push_back(std::move(candidate));
        }
    }

    Suggestion suggestion(const core::Choice &choice) {
        const core::Candidate &candidate = candidates_[choice.candidate];
        const Table &table = tables_[candidate.table];
        Suggestion out;
        out.table = table.name;
        for (const core::KeyColumn &column : candidate.columns)
            out.columns.push_back(column.definition());
        out.definition = create_index(table.name, candidate, "CONCURRENTLY ") + ";";
        out.statements = choice.statements.size();
        out.cost_before = choice.cost_before;
        out.cost_after = choice.cost_after;
        out.size = indexes_[choice.candidate].size;
        out.writes = table.writes;
        for (const size_t statement : choice.statements) {
            out.calls += patterns_[number_[statement]].calls;
            out.ids.push_back(patterns_[number_[statement]].id);
        }
        // What each column is for, in most of the statements.
        for (const core::KeyColumn &column : candidate.columns) {
            std::map<std::string, size_t> purposes;
            for (const size_t statement : choice.statements)
                ++purposes[purpose(column, candidate, asking_[statement])];
            purposes.erase("");
            const auto most = std::max_element(purposes.begin(), purposes.end(),
                                               [](const auto &a, const auto &b) { return a.second < b.second; });
            if (most != purposes.end())
                out.reason += (out.reason.empty() ? "" : ", ") + column.sql + " " + most->first;
        }
        return out;
    }

    pg::Spi &spi_;
    const Hypothetical &hypothetical_;
    const std::vector<PatternIn> &patterns_;
    const SuggestOptions &options_;
    std::vector<core::AskingStatement> asking_;
    std::vector<Judged> judged_; // of each of them
    std::vector<size_t> number_; // and its place in patterns_
    std::vector<core::Candidate> candidates_;
    std::vector<HypotheticalIndex> indexes_; // of each of them
    std::map<unsigned, Table> tables_;
};

} // namespace

std::vector<Suggestion> suggest(pg::Spi &spi, const std::vector<PatternIn> &patterns, const SuggestOptions &options) {
    check(options);
    const Hypothetical hypothetical(spi);
    std::vector<Suggestion> found;
    with_end(
        [&] {
            pg::Spi inner;
            found = Search(inner, hypothetical, patterns, options).run();
        },
        [&] { hypothetical.drop(spi); });
    return found;
}

std::vector<LeftOut> left_out(pg::Spi &spi, const std::vector<PatternIn> &patterns, const SuggestOptions &options) {
    check(options);
    std::map<std::string, LeftOut> by_reason;
    const auto note = [&](const std::string &reason, const PatternIn &pattern) {
        LeftOut &out = by_reason[reason];
        out.reason = reason;
        ++out.statements;
        out.calls += pattern.calls;
        out.ids.push_back(pattern.id);
    };
    const auto look = [&] {
        pg::SettingScope scope;
        scope.set("search_path", options.search_path.c_str());
        for (const PatternIn &pattern : patterns) {
            pg::check_for_interrupts();
            const pg::Outlook outlook = judge(pattern).outlook;
            if (outlook.why.sqlstate == ERRCODE_LOCK_NOT_AVAILABLE)
                wait_no_more(scope);
            if (outlook.why.failed())
                note(outlook.why.reason, pattern);
            if (outlook.partitioned)
                note("it reads a table with partitions or children, which is not looked at", pattern);
            if (outlook.pattern)
                note("it compares with a pattern (LIKE, regular expression) that is not in its text", pattern);
        }
    };
    // An executed statement: where hypopg is loaded, it takes until then for an EXPLAIN what is planned.
    with_end(look, [&] { (void)spi.read("SELECT 1"); });
    std::vector<LeftOut> all;
    for (auto &[reason, out] : by_reason)
        all.push_back(std::move(out));
    std::stable_sort(all.begin(), all.end(), [](const LeftOut &a, const LeftOut &b) { return a.calls > b.calls; });
    return all;
}

} // namespace wc::observe

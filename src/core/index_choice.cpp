// Candidates, what covers them, and the choice among them.
#include "core/index_choice.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

namespace wc::core {

namespace {

constexpr size_t most_candidates = 60; // of one use
constexpr size_t most_joined = 4;
constexpr size_t most_plans = 100; // of one statement, with one candidate each
constexpr double as_good = 0.98;   // of those that save about as much: the one with fewest columns, and then the first

using Columns = std::vector<KeyColumn>;

bool among(const Columns &columns, const KeyColumn &column) {
    return std::any_of(columns.begin(), columns.end(), [&](const KeyColumn &one) { return one.sql == column.sql; });
}

// The columns of both that are looked up by equality, each once.
Columns looked_up(const TableUse &use) {
    Columns all;
    for (const Columns *const part : {&use.equal, &use.joined})
        for (const KeyColumn &column : *part)
            if (!among(all, column))
                all.push_back(column);
    return all;
}

void add(std::vector<Candidate> &found, std::set<std::string> &known, unsigned table, Columns columns) {
    if (columns.empty() || found.size() >= most_candidates)
        return;
    if (columns.size() > index_columns)
        columns.resize(index_columns);
    Candidate candidate{table, std::move(columns)};
    if (known.insert(candidate.definition()).second)
        found.push_back(std::move(candidate));
}

// The sets of columns that can be looked up together, the widest first.
std::vector<Columns> prefixes(const TableUse &use) {
    Columns equal;
    for (const KeyColumn &column : use.equal)
        if (!among(equal, column))
            equal.push_back(column);
    std::stable_sort(equal.begin(), equal.end(),
                     [](const KeyColumn &a, const KeyColumn &b) { return a.distinct > b.distinct; });
    const auto first = [&](size_t count) {
        return Columns(equal.begin(), equal.begin() + static_cast<std::ptrdiff_t>(std::min(count, equal.size())));
    };
    std::vector<Columns> all;
    for (size_t count = std::min(index_columns, equal.size()); count > 1; --count)
        all.push_back(first(count));
    for (const KeyColumn &column : equal)
        all.push_back({column});
    const size_t joins = std::min(most_joined, use.joined.size());
    for (size_t i = 0; i < joins; ++i) {
        const KeyColumn &join = use.joined[i];
        for (size_t count = 0; count < index_columns; ++count) {
            Columns columns{join};
            for (const KeyColumn &column : first(count))
                if (!among(columns, column))
                    columns.push_back(column);
            all.push_back(columns);
        }
        for (size_t j = 0; j < joins; ++j)
            if (j != i)
                all.push_back({join, use.joined[j]});
    }
    // The same in other orders: one of them may serve another statement too, which asks for less.
    std::vector<Columns> turned;
    for (const Columns &columns : all) {
        std::vector<size_t> places(columns.size());
        std::iota(places.begin(), places.end(), 0);
        while (std::next_permutation(places.begin(), places.end())) {
            turned.emplace_back();
            for (const size_t place : places)
                turned.back().push_back(columns[place]);
        }
    }
    all.insert(all.end(), turned.begin(), turned.end());
    return all;
}

// Whether two lists of columns have the same order, or one that is the other's read backwards.
bool same_order(const Columns &there, size_t from, const Columns &wanted, size_t wanted_from, size_t count) {
    bool same = true;
    bool backwards = true;
    for (size_t i = 0; i < count; ++i) {
        const KeyColumn &a = there[from + i];
        const KeyColumn &b = wanted[wanted_from + i];
        same = same && a.descending == b.descending && a.nulls_first == b.nulls_first;
        backwards = backwards && a.descending != b.descending && a.nulls_first != b.nulls_first;
    }
    return same || backwards;
}

// equal: how many of the leading columns are looked up, in whatever order; in_order: the rest are there for their
// order.
bool covers(const ExistingIndex &there, const Columns &wanted, size_t equal, bool in_order) {
    if (!there.ordered)
        return equal == wanted.size() && there.columns.size() == equal &&
               std::all_of(wanted.begin(), wanted.end(),
                           [&](const KeyColumn &one) { return among(there.columns, one); });
    if (there.columns.size() < wanted.size())
        return false;
    const Columns leading(there.columns.begin(), there.columns.begin() + static_cast<std::ptrdiff_t>(equal));
    for (size_t i = 0; i < equal; ++i)
        if (!among(leading, wanted[i]))
            return false;
    for (size_t i = equal; i < wanted.size(); ++i)
        if (there.columns[i].sql != wanted[i].sql)
            return false;
    return !in_order || same_order(there.columns, equal, wanted, equal, wanted.size() - equal);
}

double gain(double before, double after) {
    return before > 0 && after < before ? (before - after) / before : 0;
}

} // namespace

std::string KeyColumn::definition() const {
    std::string text = sql;
    if (descending)
        text += " DESC";
    if (nulls_first != descending)
        text += nulls_first ? " NULLS FIRST" : " NULLS LAST";
    return text;
}

std::string Candidate::definition() const {
    std::string text;
    for (const KeyColumn &column : columns)
        text += (text.empty() ? "" : ", ") + column.definition();
    return text;
}

std::vector<Candidate> candidates_for(const TableUse &use) {
    std::vector<Candidate> found;
    std::set<std::string> known;
    std::vector<Columns> all = prefixes(use);
    all.emplace_back(); // a range or an order by itself
    for (const Columns &prefix : all) {
        add(found, known, use.table, prefix);
        for (const KeyColumn &column : use.range) {
            Columns columns = prefix;
            if (columns.size() < index_columns && !among(columns, column)) {
                columns.push_back(column);
                add(found, known, use.table, std::move(columns));
            }
        }
        for (const Columns &order : use.orders) {
            Columns columns = prefix;
            for (const KeyColumn &column : order)
                if (!among(columns, column))
                    columns.push_back(column);
            // What is left of the order begins anew: it may be read backwards as a whole.
            if (columns.size() > prefix.size() && columns[prefix.size()].descending)
                for (size_t i = prefix.size(); i < columns.size(); ++i) {
                    columns[i].descending = !columns[i].descending;
                    columns[i].nulls_first = !columns[i].nulls_first;
                }
            add(found, known, use.table, std::move(columns));
        }
    }
    return found;
}

bool serves(const TableUse &use, const Candidate &candidate) {
    if (use.table != candidate.table || candidate.columns.empty())
        return false;
    const KeyColumn &first = candidate.columns.front();
    return among(use.equal, first) || among(use.joined, first) || among(use.range, first) ||
           std::any_of(use.orders.begin(), use.orders.end(),
                       [&](const Columns &order) { return !order.empty() && order.front().sql == first.sql; });
}

bool covered(const TableUse &use, const Candidate &candidate) {
    const Columns lookup = looked_up(use);
    size_t equal = 0;
    while (equal < candidate.columns.size() && among(lookup, candidate.columns[equal]))
        ++equal;
    size_t used = equal;
    bool in_order = false;
    if (used < candidate.columns.size() && among(use.range, candidate.columns[used]))
        ++used;
    // As much of an order as the columns give.
    for (const Columns &order : use.orders) {
        size_t position = equal;
        for (const KeyColumn &column : order) {
            if (position < candidate.columns.size() && candidate.columns[position].sql == column.sql)
                ++position;
            else if (!among(lookup, column))
                break;
        }
        if (position > equal && position >= used) {
            used = position;
            in_order = true;
        }
    }
    if (used == 0)
        return false;
    const Columns wanted(candidate.columns.begin(), candidate.columns.begin() + static_cast<std::ptrdiff_t>(used));
    return std::any_of(use.indexes.begin(), use.indexes.end(),
                       [&](const ExistingIndex &there) { return covers(there, wanted, equal, in_order); });
}

namespace {

// The state of the choice: what each statement costs with the candidates chosen, and with one more.
class Choosing {
  public:
    Choosing(const std::vector<AskingStatement> &statements, const std::vector<Candidate> &candidates,
             const CostsOf &costs_of, double min_gain)
        : statements_(statements), candidates_(candidates), costs_of_(costs_of), min_gain_(min_gain),
          concerns_(statements.size()), cost_(statements.size()), with_(statements.size()) {
        for (size_t s = 0; s < statements.size(); ++s) {
            concerns_[s] = concerning(statements[s]);
            cost_[s] = statements[s].cost;
            look(s);
        }
    }

    // The candidate that saves most beside those chosen; candidates_.size(): none saves enough.
    [[nodiscard]] size_t best() const {
        std::vector<double> saved(candidates_.size(), 0);
        for (size_t s = 0; s < statements_.size(); ++s)
            for (size_t i = 0; i < concerns_[s].size(); ++i)
                if (gain(cost_[s], with_[s][i]) >= min_gain_)
                    saved[concerns_[s][i]] += statements_[s].calls * (cost_[s] - with_[s][i]);
        const double most = saved.empty() ? 0 : *std::max_element(saved.begin(), saved.end());
        size_t found = candidates_.size();
        if (most <= 0)
            return found;
        for (size_t k = 0; k < candidates_.size(); ++k) {
            if (saved[k] < most * as_good)
                continue;
            if (found == candidates_.size() || candidates_[k].columns.size() < candidates_[found].columns.size())
                found = k;
        }
        return found;
    }

    void take(size_t candidate) {
        chosen_.push_back(candidate);
        for (size_t s = 0; s < statements_.size(); ++s)
            if (concerned(s, candidate)) {
                cost_[s] = cost(s, chosen_);
                look(s);
            }
    }

    // Gives up what no statement gains enough by, beside the others.
    void give_up() {
        for (size_t i = 0; i < chosen_.size();) {
            std::vector<size_t> others = chosen_;
            others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
            bool needed = false;
            for (size_t s = 0; s < statements_.size() && !needed; ++s)
                needed = concerned(s, chosen_[i]) && gain(cost(s, others), cost(s, chosen_)) >= min_gain_;
            if (needed)
                ++i;
            else
                chosen_ = others;
        }
    }

    [[nodiscard]] std::vector<Choice> choices() const {
        std::vector<Choice> all;
        std::vector<size_t> before;
        for (const size_t candidate : chosen_) {
            std::vector<size_t> with = before;
            with.push_back(candidate);
            Choice choice;
            choice.candidate = candidate;
            for (size_t s = 0; s < statements_.size(); ++s) {
                if (!concerned(s, candidate))
                    continue;
                const double old_cost = cost(s, before);
                const double new_cost = cost(s, with);
                if (gain(old_cost, new_cost) < min_gain_)
                    continue;
                choice.statements.push_back(s);
                choice.calls += statements_[s].calls;
                choice.cost_before += old_cost * statements_[s].calls;
                choice.cost_after += new_cost * statements_[s].calls;
            }
            if (choice.statements.empty())
                continue; // it helps only beside one that comes later: that one has the gain
            choice.cost_before /= choice.calls;
            choice.cost_after /= choice.calls;
            all.push_back(std::move(choice));
            before = with;
        }
        return all;
    }

  private:
    static bool concerns(const AskingStatement &statement, const Candidate &candidate) {
        return std::any_of(statement.uses.begin(), statement.uses.end(),
                           [&](const TableUse &use) { return serves(use, candidate) && !covered(use, candidate); });
    }

    // The candidates that concern a statement, in turn for each of its tables, so that those of none crowd out the
    // others'.
    [[nodiscard]] std::vector<size_t> concerning(const AskingStatement &statement) const {
        std::map<unsigned, std::vector<size_t>> by_table;
        for (size_t k = 0; k < candidates_.size(); ++k)
            if (concerns(statement, candidates_[k]))
                by_table[candidates_[k].table].push_back(k);
        std::vector<size_t> some;
        bool more = true;
        for (size_t place = 0; more && some.size() < most_plans; ++place) {
            more = false;
            for (const auto &[table, list] : by_table)
                if (place < list.size()) {
                    some.push_back(list[place]);
                    more = true;
                }
        }
        return some;
    }

    [[nodiscard]] bool concerned(size_t statement, size_t candidate) const {
        return std::find(concerns_[statement].begin(), concerns_[statement].end(), candidate) !=
               concerns_[statement].end();
    }

    // Those of a set that concern the statement.
    [[nodiscard]] std::vector<size_t> of_use(size_t statement, const std::vector<size_t> &set) const {
        std::vector<size_t> some;
        for (const size_t candidate : set)
            if (concerned(statement, candidate))
                some.push_back(candidate);
        return some;
    }

    [[nodiscard]] double cost(size_t statement, const std::vector<size_t> &set) const {
        const std::vector<size_t> some = of_use(statement, set);
        return some.empty() ? statements_[statement].cost : costs_of_(statement, {some}).front();
    }

    // What the statement costs with each candidate that concerns it.
    void look(size_t statement) {
        const std::vector<size_t> beside = of_use(statement, chosen_);
        std::vector<std::vector<size_t>> sets;
        for (const size_t candidate : concerns_[statement]) {
            sets.push_back(beside);
            if (std::find(beside.begin(), beside.end(), candidate) == beside.end())
                sets.back().push_back(candidate);
        }
        if (!sets.empty())
            with_[statement] = costs_of_(statement, sets);
    }

    const std::vector<AskingStatement> &statements_;
    const std::vector<Candidate> &candidates_;
    const CostsOf &costs_of_;
    const double min_gain_;
    std::vector<std::vector<size_t>> concerns_; // of each statement, the candidates
    std::vector<double> cost_;                  // of each statement, with those chosen
    std::vector<std::vector<double>> with_;     // and with one more, as in concerns_
    std::vector<size_t> chosen_;
};

} // namespace

std::vector<Choice> choose(const std::vector<AskingStatement> &statements, const std::vector<Candidate> &candidates,
                           const CostsOf &costs_of, double min_gain, size_t most) {
    Choosing choosing(statements, candidates, costs_of, min_gain);
    for (size_t i = 0; i < most; ++i) {
        const size_t next = choosing.best();
        if (next == candidates.size())
            break;
        choosing.take(next);
    }
    choosing.give_up();
    return choosing.choices();
}

} // namespace wc::core

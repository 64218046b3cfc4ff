// Which way a refresh goes and in which order views are taken.
#include "core/refresh_plan.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>

namespace wc::core {

namespace {

// A key costs the incremental refresh more than a row costs the refresh of everything: measured, the least share of
// keys at which the latter is the quicker one of a view is 59 % (docs/benchmarks.md).
constexpr int64_t share_percent = 50;
// So few are quick whatever the size of the view.
constexpr int64_t always_few = 1000;

constexpr std::array modes = {Mode::Auto, Mode::Incremental, Mode::Concurrent, Mode::Full};
constexpr std::array conflicts = {Conflict::Wait, Conflict::Skip};

template <typename All> auto parse(const All &all, std::string_view text) -> std::optional<typename All::value_type> {
    for (const auto one : all)
        if (name(one) == text)
            return one;
    return {};
}

// "a", "b" and "c"
template <typename All> std::string list(const All &all) {
    std::string text;
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (i > 0)
            text += i + 1 == all.size() ? " and " : ", ";
        text += '"';
        text += name(all[i]);
        text += '"';
    }
    return text;
}

} // namespace

std::string_view name(Mode mode) {
    switch (mode) {
    case Mode::Auto:
        return "auto";
    case Mode::Incremental:
        return "incremental";
    case Mode::Concurrent:
        return "concurrent";
    case Mode::Full:
        return "full";
    }
    return {};
}

std::string_view name(Conflict conflict) {
    return conflict == Conflict::Wait ? "wait" : "skip";
}

std::optional<Mode> parse_mode(std::string_view text) {
    return parse(modes, text);
}

std::optional<Conflict> parse_conflict(std::string_view text) {
    return parse(conflicts, text);
}

std::string mode_names() {
    return list(modes);
}

std::string conflict_names() {
    return list(conflicts);
}

Mode decide(Mode asked, const Prospect &prospect) {
    if (!prospect.populated || asked == Mode::Full)
        return Mode::Full;
    return asked != Mode::Concurrent && prospect.incremental ? Mode::Incremental : Mode::Concurrent;
}

int64_t most_keys(int64_t rows) {
    return std::max(always_few, rows / 100 * share_percent);
}

std::vector<std::size_t> longest_first(const std::vector<Task> &tasks) {
    std::vector<std::size_t> order(tasks.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto length = [&](std::size_t i) {
        return tasks[i].last_duration_ms.value_or(std::numeric_limits<double>::infinity());
    };
    std::sort(order.begin(), order.end(), [&](std::size_t left, std::size_t right) {
        if (length(left) != length(right))
            return length(left) > length(right);
        return tasks[left].view < tasks[right].view;
    });
    return order;
}

} // namespace wc::core

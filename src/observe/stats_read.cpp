// Copying statistics out of shared memory: measured first, then copied, so that nothing is allocated under the lock.
#include "observe/stats_read.hpp"

#include "observe/encoding.hpp"

#include <algorithm>

namespace wc::observe::stats {

namespace {

size_t size_of(const Pattern &pattern) {
    return MAXALIGN(sizeof(Pattern) + static_cast<size_t>(pattern.text_size));
}

struct Target {
    const Viewer *viewer; // null: sees all
    char *memory;         //
    size_t room;          // in it
    size_t wanted;        // more than that where something didn't fit
};

void copy_pattern(const Pattern &pattern, void *context) noexcept {
    auto &target = *static_cast<Target *>(context);
    if (target.viewer != nullptr && !target.viewer->sees(pattern.role))
        return;
    const size_t place = target.wanted;
    target.wanted += size_of(pattern);
    if (target.wanted <= target.room)
        std::copy_n(reinterpret_cast<const char *>(&pattern), sizeof(Pattern) + text_of(pattern).size(),
                    target.memory + place);
}

} // namespace

Copy::Copy(const Viewer *viewer) {
    require_preloaded();
    flush(); // who asks sees what it did itself
    Target target = {viewer, nullptr, 0, 0};
    do {
        memory_.resize(target.wanted + target.wanted / 8); // some may come meanwhile
        target = {viewer, memory_.data(), memory_.size(), 0};
        info_ = visit_all(copy_pattern, &target);
    } while (target.wanted > target.room);
    for (size_t place = 0; place < target.wanted;) {
        const auto *pattern = reinterpret_cast<const Pattern *>(memory_.data() + place);
        patterns_.push_back(pattern);
        place += size_of(*pattern);
    }
}

std::string Copy::text(const Pattern &pattern) {
    const std::string_view text = text_of(pattern);
    return text.empty() ? GetCommandTagName(pattern.tag) : in_database_encoding(text, pattern.encoding);
}

} // namespace wc::observe::stats

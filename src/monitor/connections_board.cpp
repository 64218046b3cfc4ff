// The latest sample of connections, in shared memory: with room for as many groups as there can be connections.
#include "monitor/connections_board.hpp"

#include "monitor/connections_pending.hpp"

#include "pg/hooks.hpp"
#include "pg/locked.hpp"

#include <algorithm>

namespace wc::monitor::connections {

namespace {

// A group with what is known of its database and role: plain memory.
struct Group {
    uint32 database;
    uint32 role;
    core::connections::Counts counts;
    int32 database_limit;
    int32 role_limit;
    bool superuser;
    NameData database_name;
    NameData role_name;
};

struct Board {
    LWLock *lock;
    TimestampTz at; // 0: there is no sample yet
    core::connections::Limits limits;
    int most; // groups
    int count;
    Group groups[FLEXIBLE_ARRAY_MEMBER];
};
constinit Board *the_board = nullptr;

Size size() {
    return offsetof(Board, groups) + sizeof(Group) * static_cast<Size>(MaxConnections);
}

void start(void *memory, LWLock *lock, bool fresh) {
    the_board = static_cast<Board *>(memory);
    if (!fresh)
        return;
    memset(memory, 0, size());
    the_board->lock = lock;
    the_board->most = MaxConnections;
}

Group group_of(const Sample &sample, const Sample::Group &key, const core::connections::Counts &counts) {
    Group group = {};
    std::tie(group.database, group.role) = key;
    group.counts = counts;
    group.database_limit = group.role_limit = -1;
    if (const auto found = sample.databases.find(key.first); found != sample.databases.end()) {
        group.database_limit = found->second.limit;
        strlcpy(NameStr(group.database_name), found->second.name.c_str(), NAMEDATALEN);
    }
    if (const auto found = sample.roles.find(key.second); found != sample.roles.end()) {
        group.role_limit = found->second.limit;
        group.superuser = found->second.superuser;
        strlcpy(NameStr(group.role_name), found->second.name.c_str(), NAMEDATALEN);
    }
    return group;
}

} // namespace

void board::put(const Sample &sample) {
    std::vector<Group> groups;
    for (const auto &[key, counts] : sample.groups)
        groups.push_back(group_of(sample, key, counts));
    const pg::Locked locked(the_board->lock);
    the_board->at = sample.at;
    the_board->limits = sample.limits;
    the_board->count = static_cast<int>(std::min(groups.size(), static_cast<size_t>(the_board->most)));
    std::copy_n(groups.begin(), the_board->count, the_board->groups);
}

std::optional<Sample> latest() {
    std::vector<Group> groups(static_cast<size_t>(the_board->most));
    Sample sample;
    {
        const pg::Locked locked(the_board->lock, LW_SHARED);
        sample.at = the_board->at;
        sample.limits = the_board->limits;
        groups.resize(static_cast<size_t>(the_board->count)); // fewer: nothing is allocated
        std::copy_n(the_board->groups, groups.size(), groups.begin());
    }
    if (sample.at == 0)
        return {};
    for (const Group &group : groups) {
        sample.groups.emplace(Sample::Group(group.database, group.role), group.counts);
        if (OidIsValid(group.database))
            sample.databases.try_emplace(
                group.database, core::connections::Database{group.database_limit, NameStr(group.database_name)});
        if (OidIsValid(group.role))
            sample.roles.try_emplace(
                group.role, core::connections::Role{group.role_limit, group.superuser, NameStr(group.role_name)});
    }
    return sample;
}

void init() {
    pg::hooks::shared_memory({"whitecross connections", size, start});
    pending::init();
}

} // namespace wc::monitor::connections

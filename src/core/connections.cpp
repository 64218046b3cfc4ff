// A sample of a server's connections, and the rows that are shown of it.
#include "core/connections.hpp"

#include <algorithm>

namespace wc::core::connections {

namespace {

template <typename T> const T *find(const std::map<std::uint32_t, T> &all, std::uint32_t oid) {
    const auto found = all.find(oid);
    return found == all.end() ? nullptr : &found->second;
}

template <typename T> const std::string *name_of(const T *object) {
    return object != nullptr && !object->name.empty() ? &object->name : nullptr;
}

template <typename T> std::int32_t least(std::int32_t limit, const T *object) {
    return object != nullptr && object->limit >= 0 ? std::min(limit, object->limit) : limit;
}

// Makes the rows of one sample.
class Rows {
  public:
    explicit Rows(const Sample &sample) : sample_(sample) {}

    void add(Scope scope, std::uint32_t database, std::uint32_t role, const Counts &counts) {
        const Database *const its_database = find(sample_.databases, database);
        const Role *const its_role = find(sample_.roles, role);
        Row row;
        row.scope = scope;
        row.database = database;
        row.role = role;
        row.database_name = name_of(its_database);
        row.role_name = name_of(its_role);
        row.counts = counts;
        row.max = limit(its_database, its_role);
        if (row.max > 0)
            row.utilisation_percent = 100.0 * counts.total / row.max;
        if (counts.oldest != 0)
            row.oldest_transaction = std::max<std::int64_t>(sample_.at - counts.oldest, 0);
        rows_.push_back(row);
    }

    std::vector<Row> done() { return std::move(rows_); }

  private:
    // Superusers are held to none of the limits, and may have the reserved connections.
    [[nodiscard]] std::int32_t limit(const Database *database, const Role *role) const {
        if (role != nullptr && role->superuser)
            return sample_.limits.superusers;
        return least(least(sample_.limits.ordinary, database), role);
    }

    const Sample &sample_;
    std::vector<Row> rows_;
};

} // namespace

void Counts::add(const Counts &more) {
    active += more.active;
    idle += more.idle;
    idle_in_transaction += more.idle_in_transaction;
    waiting += more.waiting;
    total += more.total;
    if (oldest == 0 || (more.oldest != 0 && more.oldest < oldest))
        oldest = more.oldest;
}

const char *name(Scope scope) {
    switch (scope) {
    case Scope::Server:
        return "server";
    case Scope::Database:
        return "database";
    case Scope::Role:
        return "role";
    case Scope::DatabaseAndRole:
        return "database and role";
    }
    return "";
}

std::vector<Row> rows(const Sample &sample) {
    Counts server;
    std::map<std::uint32_t, Counts> databases;
    std::map<std::uint32_t, Counts> roles;
    for (const auto &[group, counts] : sample.groups) {
        const auto &[database, role] = group;
        server.add(counts);
        if (database != 0)
            databases[database].add(counts);
        if (role != 0)
            roles[role].add(counts);
    }
    Rows made(sample);
    made.add(Scope::Server, 0, 0, server);
    for (const auto &[database, counts] : databases)
        made.add(Scope::Database, database, 0, counts);
    for (const auto &[role, counts] : roles)
        made.add(Scope::Role, 0, role, counts);
    for (const auto &[group, counts] : sample.groups)
        if (group.first != 0 && group.second != 0)
            made.add(Scope::DatabaseAndRole, group.first, group.second, counts);
    return made.done();
}

} // namespace wc::core::connections

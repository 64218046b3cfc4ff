// A sample of a server's connections, and the rows that are shown of it: for the server, each database, each role, and
// each role in each database. Moments are microseconds of any clock; the caller has it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace wc::core::connections {

struct Counts {
    std::uint32_t active = 0;
    std::uint32_t idle = 0;
    std::uint32_t idle_in_transaction = 0; // failed transactions too
    std::uint32_t waiting = 0;             // active, and blocked on a lock
    std::uint32_t total = 0;               // with those that are being started, or don't say what they do
    std::int64_t oldest = 0;               // when the transaction began that has been open longest; 0: none is

    void add(const Counts &more);
    bool operator==(const Counts &) const = default;
};

struct Database {
    std::int32_t limit = -1; // of its connections; negative: none of its own
    std::string name;        // empty: dropped since
    bool operator==(const Database &) const = default;
};

struct Role {
    std::int32_t limit = -1;
    bool superuser = false;
    std::string name;
    bool operator==(const Role &) const = default;
};

struct Limits {
    std::int32_t ordinary = 0;   // connections of the server that anybody may have
    std::int32_t superusers = 0; // with those that are reserved
    bool operator==(const Limits &) const = default;
};

struct Sample {
    using Group = std::pair<std::uint32_t, std::uint32_t>; // OIDs of database and role; 0: not known yet

    std::int64_t at = 0;
    Limits limits;
    std::map<std::uint32_t, Database> databases; // by OID; those of all groups, and it may be others
    std::map<std::uint32_t, Role> roles;
    std::map<Group, Counts> groups; // that have connections
    bool operator==(const Sample &) const = default;
};

enum class Scope { Server, Database, Role, DatabaseAndRole };

// As SQL shows it.
[[nodiscard]] const char *name(Scope scope);

struct Row {
    Scope scope = Scope::Server;
    std::uint32_t database = 0;                 // OIDs; 0 where the scope has none
    std::uint32_t role = 0;                     //
    const std::string *database_name = nullptr; // of the sample; null: the scope has none, or it was dropped
    const std::string *role_name = nullptr;
    Counts counts;
    std::int32_t max = 0;                           // the least of the limits that apply
    std::optional<double> utilisation_percent;      // total of max; nothing where max is 0
    std::optional<std::int64_t> oldest_transaction; // microseconds
};

// The row of the server, then those of databases, roles, and roles in databases that have connections, in the order of
// OIDs. They refer to names of the sample.
[[nodiscard]] std::vector<Row> rows(const Sample &sample);

} // namespace wc::core::connections

// A SELECT as the server understands it: what it returns, what it reads, and whether it means the same at any time.
#pragma once

#include "pg/guard.hpp"

#include <string>
#include <vector>

namespace wc::pg {

struct QueryColumn {
    std::string name;
    std::string type;        // format_type
    bool comparable = false; // has an equality
    bool may_be_key = false; // has an order too, and arrays
};

struct QueryFacts {
    std::vector<QueryColumn> columns;
    std::vector<Oid> relations; // that it names, each as often as it does; what functions read can't be seen
    std::vector<Oid> functions; // that it calls and that aren't built in
    // The first call whose result is another one at another time, in another session or at each call: of a volatile
    // function, the clock, who is connected. Empty: none.
    std::string unstable;
    bool of_clock = false; // that tells the time
    bool writes = false;   // has INSERT, UPDATE or DELETE in it
    bool locks = false;    // has FOR UPDATE or the like
};

// Analyses a text that must be one SELECT; runs nothing, and locks what it names as a reader does. Throws Error: 42601
// for more than one statement, 0A000 for one that is no SELECT or has an INTO, and whatever the analysis finds.
QueryFacts query_facts(const std::string &select);

} // namespace wc::pg

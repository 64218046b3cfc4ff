// Rows of connections in SQL, of those that the caller may see. Private to the connections.
#pragma once

#include "monitor/connections.hpp"
#include "observe/observe.hpp"
#include "pg/function.hpp"

namespace wc::monitor::connections {

// Of the server and of databases anybody sees the sums; of roles its own, or all with the rights of pg_read_all_stats.
class Shown {
  public:
    // with_moment: rows begin with the moment of the sample. Throws Error.
    Shown(pg::ResultSet &result, bool with_moment) : result_(result), with_moment_(with_moment) {}

    // Throws Error.
    void add(const Sample &sample);

  private:
    // A name as a datum that lasts until the function returns.
    Datum text(const std::string &name);
    void add(const Sample &sample, const Row &row);

    pg::ResultSet &result_;
    bool with_moment_;
    observe::Viewer viewer_;
    std::map<std::string, Datum> texts_;
};

} // namespace wc::monitor::connections

// What the monitor reads for alerts without a connection to any database: of the server, of its pooler and its
// followers, and of databases what shared memory and the shared catalogues tell.
#pragma once

#include "core/trail.hpp"
#include "monitor/reading.hpp"
#include "monitor/replication.hpp"

namespace wc::monitor::alerts {

class ServerReadings {
  public:
    // now: milliseconds of a clock that is never set back. Throws Error; what was read before stands then.
    void read(int64 now);

    // Whether the connections have been sampled again since they were read.
    [[nodiscard]] bool is_old() const;

    [[nodiscard]] const std::vector<Reading> &of_server() const { return of_server_; }
    [[nodiscard]] std::vector<Reading> of_database(Oid database) const;

    // Those of the server, in the order of their OIDs.
    [[nodiscard]] std::vector<Oid> databases() const;

    // The name of a database; empty: it is not known.
    [[nodiscard]] std::string name(Oid database) const;

  private:
    struct Database {
        std::string name;
        int64 age = 0; // of its oldest transaction id
    };
    struct Counters {
        core::Trail slow{120000, 1000};
        core::Trail bursts{120000, 1000};
    };
    static std::map<Oid, Database> scan();
    void add(Watched watched, const std::string &subject, double value);
    void add(Watched watched, Oid database, double value);
    void read_connections();
    void read_pooler();
    void read_violations();
    void read_totals(int64 now);

    int64 sampled_at_ = 0; // the connections
    std::map<Oid, Database> databases_;
    std::vector<Lag> lags_;
    Replication replication_;
    std::map<Oid, Counters> counters_;
    int64 read_at_ = 0; // when they were read last; 0: not yet
    std::vector<Reading> of_server_;
    std::map<Oid, std::vector<Reading>> of_database_;
};

} // namespace wc::monitor::alerts

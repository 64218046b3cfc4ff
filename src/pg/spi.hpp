// SQL from C++: a connection to the server programming interface with results as plain strings.
#pragma once

#include "pg/guard.hpp"

namespace wc::pg {

using Text = std::optional<std::string>; // an SQL value in its text form; empty: NULL
using Row = std::vector<Text>;

struct Result {
    std::vector<Row> rows;
    uint64_t processed = 0; // rows returned, or affected by INSERT, UPDATE, DELETE
};

// Whether a statement is planned for this one time, or its plan kept for the session (pg/kept.hpp). Kept is for what a
// session runs often; its text has to stay the same, and parameters go by their values.
enum class Planned { Once, Kept };

class Spi {
  public:
    Spi();
    Spi(const Spi &) = delete;
    Spi &operator=(const Spi &) = delete;
    ~Spi(); // when an exception passes, the (sub)transaction that it ends in closes the connection

    // Runs one or more statements; parameters $1, $2, ... are of type text. Results are the last statement's rows.
    // Throws Error.
    Result query(const std::string &sql, const std::vector<Text> &parameters = {}, Planned planned = Planned::Once);

    // The same with the active snapshot and no other, where query() takes a new one in a READ COMMITTED transaction;
    // only statements that write nothing.
    Result read(const std::string &sql, const std::vector<Text> &parameters = {}, Planned planned = Planned::Once);

    // The first column of the first row; empty: NULL or no row.
    Text value(const std::string &sql, const std::vector<Text> &parameters = {}, Planned planned = Planned::Once);

  private:
    static Result run(const std::string &sql, const std::vector<Text> &parameters, bool read_only, Planned planned);
    int exceptions_;
};

// An OID that a query gave; of NULL: InvalidOid.
Oid oid_of(const Text &value);

// Double-quotes an identifier where it needs it; single-quotes a literal.
std::string quote_name(const std::string &name);
std::string quote_value(const std::string &value);

} // namespace wc::pg

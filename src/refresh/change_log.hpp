// Writing the change log, wc_change. Plain server code: call it inside a guard.
#pragma once

#include "pg/guard.hpp"

extern "C" {
#include "utils/array.h"
}

namespace wc::refresh {

// The keys of one base table that one statement has touched, before they are written.
class Notes {
  public:
    // table: the canonical name. It is copied.
    explicit Notes(const char *table);

    // Notes the values of the captured columns (texts; nulls[i]: NULL) of a row.
    void add(Datum *values, bool *nulls, int count);

    // Notes that any row of the table may have changed.
    void whole_table();

    // Writes what hasn't been noted by this subtransaction already into the log in the given schema, with neither
    // permission checks nor triggers: a writer needs no right on the log. Does nothing where that schema has no log.
    void write(Oid schema);

  private:
    void begin();

    const char *table_;
    ArrayType **keys_ = nullptr; // in the memory of the set of what was noted
    int count_ = 0;
    int room_ = 0;
    bool begun_ = false;
    bool known_ = false; // noted as a whole already
    bool whole_ = false;
};

// Called whenever a transaction has written into the log; what it registers must not fail.
using ChangeNoted = void (*)();
void on_change_noted(ChangeNoted listener);

} // namespace wc::refresh

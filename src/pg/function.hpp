// Arguments and results of SQL-callable functions.
#pragma once

#include "pg/spi.hpp"

namespace wc::pg {

// A text (or varchar, name-like) argument; empty: NULL.
Text text_argument(FunctionCallInfo fcinfo, int index);

// An int4 argument; empty: NULL.
std::optional<int> int_argument(FunctionCallInfo fcinfo, int index);

// A bool argument; empty: NULL.
std::optional<bool> bool_argument(FunctionCallInfo fcinfo, int index);

// An argument of any type in its text form (jsonb); empty: NULL.
Text argument_as_text(FunctionCallInfo fcinfo, int index);

// A text[] argument that must be given, without NULLs in it. Throws 22004 with the argument's name, 22023 for an array
// of arrays.
std::vector<std::string> required_texts(FunctionCallInfo fcinfo, int index, const char *argument);

// A text argument that must be given. Throws 22004 with the argument's name.
std::string required_text(FunctionCallInfo fcinfo, int index, const char *argument);

// A text datum, or NULL (fcinfo->isnull). It is in the memory that the function was called with, whatever connections
// (Spi) have made current since, and take away when they close.
Datum return_text(FunctionCallInfo fcinfo, const Text &value);

// SQL's NULL, for functions that return nothing of interest.
inline Datum return_null(FunctionCallInfo fcinfo) {
    fcinfo->isnull = true;
    return static_cast<Datum>(0);
}

// The rows of a set-returning function, kept in the server's tuplestore (work_mem, then disk).
class ResultSet {
  public:
    explicit ResultSet(FunctionCallInfo fcinfo);
    // Adds a row: every value in its text form, converted to the declared column type.
    void add(const Row &row);
    // Adds a row of values as the server has them, and which of them are NULL: count is the number of columns.
    void add(Datum *values, bool *nulls, int count);
    // What the C function returns.
    [[nodiscard]] Datum done();

  private:
    FunctionCallInfo fcinfo_;
    AttInMetadata *input_ = nullptr;
    MemoryContext memory_ = nullptr;
};

} // namespace wc::pg

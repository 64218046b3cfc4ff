// Running a query: its rows to the function's caller, and if they are to be kept, as bytes too.
#pragma once

#include "cache/packed.hpp"
#include "cache/question.hpp"

namespace wc::cache {

// Runs it as a statement of a volatile function: what the transaction did before is seen, and in READ COMMITTED what
// has been committed since. It sees to privileges, row security and the rest as any query does. Puts rows out in the
// form that was asked for; adds them to pack, if there is one, which is watched by whoever needs that (kept: rows_of).
// Throws Error.
class Run {
  public:
    Run(const Question &question, Shape shape, rows::Output &out, rows::Pack *pack);
    Run(const Run &) = delete;
    Run &operator=(const Run &) = delete;
    ~Run() = default;

    // By which the query's own plan is known (cache/watch.hpp).
    [[nodiscard]] const DestReceiver *rows() const noexcept;

    // Milliseconds that it took.
    double operator()(ParamListInfo values);

  private:
    struct Receiver;
    const Question &question_;
    Receiver *receiver_;
};

// The columns of rows as jsonb: one.
TupleDesc json_row();

} // namespace wc::cache

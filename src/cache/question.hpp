// A question: the text of a query and values for its parameters, analysed. A session remembers what it has analysed, by
// text, role and settings, until a name could mean something else.
//
// How it is used, in this order; all of it C++ code, in a transaction, with an active snapshot, and no SPI needed:
//   1. since = generations::moment(): before anything is looked at
//   2. Question::ask(): accepts invalidations, and locks what it reads as a reader does
//   3. bind()
//   4. where it isn't refused: check_permissions(), digest()
#pragma once

#include "cache/refusal.hpp"
#include "pg/guard.hpp"

#include <string_view>

extern "C" {
#include "nodes/params.h"
#include "utils/plancache.h"
}

namespace wc::cache {

struct Digest; // cache/store.hpp
struct Facts;  // cache/analysis.hpp

// In which form the rows are kept: they are different entries.
enum class Shape : uint8 { Rows, Json };

// Whether what the session remembers may be used. Not where the transaction itself may have changed a catalogue, which
// other sessions don't see, nor where generations::usable() is false: then nothing is looked up, and nothing
// remembered.
enum class Memory { Use, Bypass };

namespace memo {
struct Entry;
}

// Holds what was analysed as long as it lives: not beyond the call that asked, nor in anything that outlives an error.
class Question {
  public:
    // Analyses one statement; its parameters have the types that PREPARE would give them, text where it couldn't tell.
    // count: how many values there are. Throws Error: 42601 for no statement or more than one, 42P02 for a parameter
    // without a value, 08P01 for a value without a parameter, and whatever the analysis finds, with the position in the
    // text as that of an internal query.
    static Question ask(std::string_view text, int count, Memory memory = Memory::Use);

    Question(Question &&other) noexcept;
    Question(const Question &) = delete;
    Question &operator=(Question &&) = delete;
    Question &operator=(const Question &) = delete;
    ~Question();

    // The statement, prepared and kept: for SPI_execute_plan_extended(), or GetCachedPlan() with its one source. Custom
    // plans only.
    [[nodiscard]] SPIPlanPtr plan() const noexcept;
    [[nodiscard]] CachedPlanSource *source() const noexcept;

    // What its rows look like; null: it returns none (INSERT without RETURNING, many a utility statement). Only until
    // anything runs: the server may look at the statement again.
    [[nodiscard]] TupleDesc row() const noexcept;

    // Why its rows can't be cached; empty: they can.
    [[nodiscard]] std::optional<Refusal> refusal() const noexcept;
    // The same for its rows as jsonb: what they print may depend on more than the rows themselves (regclass).
    [[nodiscard]] std::optional<Refusal> refusal_as_json() const noexcept;

    // The server's id of the query, 0 where there is none; and its text.
    [[nodiscard]] uint64 query_id() const noexcept;
    [[nodiscard]] const char *text() const noexcept;

    // Tables, views and composite types that the rows depend on, as far as that is known before planning: no
    // partitions, no children, nothing that functions read. Ascending, each once.
    [[nodiscard]] const std::vector<Oid> &tables() const noexcept;
    // Whether it calls functions of the site's own, which look names up as they run.
    [[nodiscard]] bool calls_own_functions() const noexcept;
    // The cells (cache/generations.hpp) of these tables, and those that each entry depends on: the rules of this
    // database and of the server's, `everything`, and who is a member of which role where a function is called that
    // isn't the server's. Each once, always in the same order.
    [[nodiscard]] const std::vector<uint32> &cells() const noexcept;

    // The parameters' values, in the current memory, each as its type's input function reads it; texts: as many as
    // there are values, null for NULL. Throws Error: the input function's SQLSTATE, without its message, which would
    // tell the value.
    [[nodiscard]] ParamListInfo bind(const char *const *texts) const;

    // Throws Error, as running the query would, where the current user may not read what it reads: tables, columns, the
    // tables of views as their owners. Of a question that isn't refused. What may be called is part of the digest:
    // where that has changed the entry isn't found, and the query runs and fails, or not, as it would.
    void check_permissions() const;

    // The key of its entry: all that decides the answer, and in which form it is kept. form: what else that depends on.
    // Of a question that isn't refused, on a server with a secret (cache/secret.hpp). Throws Error.
    [[nodiscard]] Digest digest(ParamListInfo values, Shape shape, std::string_view form = {}) const;

  private:
    explicit Question(memo::Entry *entry) noexcept;
    memo::Entry *entry_;
    std::shared_ptr<const Facts> facts_; // as they were when it was asked
};

} // namespace wc::cache

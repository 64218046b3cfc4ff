// Filling: the rows of a question that no tier has are computed, handed out, and kept if they are what any session
// would get.
#pragma once

#include "cache/parameters.hpp"
#include "cache/question.hpp"
#include "cache/rows.hpp"
#include "cache/store.hpp"

namespace wc::cache {

// A question whose rows may be kept, as one call asks it.
struct Asked {
    const Question &question;
    const Parameters &parameters;
    ParamListInfo values;
    Shape shape;
    Digest digest;
    uint64 since; // generations::moment(), before the question was looked at
    rows::Output &out;
};

// What has become of an attempt to put out rows that were kept.
enum class Taken {
    Yes,
    No,        // they aren't there, or are older than the caller takes
    OwnWrites, // they are not what the transaction itself sees
};

// Puts out the rows that these bytes say, if they may be.
Taken take(const Asked &asked, const char *bytes, size_t size);

// This call's turn to compute an entry, if it has one: others wait until it ends, on whatever way out.
class Turn {
  public:
    Turn() = default;
    Turn(const Turn &) = delete;
    Turn &operator=(const Turn &) = delete;
    ~Turn() { end(); }

    // Takes it, or waits for who has it. Whether somebody may have stored the entry since it was missed. Throws Error.
    bool take(const Digest &digest);
    void end() noexcept;

  private:
    bool mine_ = false; // not where a call around this one has it
};

// The second tier, then the query. The turn ends as soon as nobody has to wait any longer.
void fill(const Asked &asked, Turn &turn);

} // namespace wc::cache

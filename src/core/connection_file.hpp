// The files of samples of connections. A file is of one hour of one run of the server and grows by pieces, each with a
// checksum; a piece is records of samples. A record says what differs from the sample before: a server on which little
// happens takes a few bytes a sample. Names stand in the file once.
#pragma once

#include "core/connections.hpp"
#include "core/history_file.hpp"

#include <functional>
#include <string_view>

namespace wc::core::connections {

// Turns samples into records. What it remembers grows with the databases, roles and groups that it has met, until it
// forgets.
class Encoder {
  public:
    // The records of a sample, which are to follow those of the samples before.
    [[nodiscard]] std::string encode(const Sample &sample);

    // The next sample is told in full: a file begins with it, or what came before it is lost.
    void forget() { *this = Encoder(); }

  private:
    bool is_new_ = true;
    Sample before_;
};

// Turns records back into samples.
class Decoder {
  public:
    using Take = std::function<void(const Sample &)>;

    // Gives each sample to take(), in order. False where what follows is no record, or tells of what has not been
    // there: nothing after it can be read either. The databases and roles of a sample may be more than those of its
    // groups.
    [[nodiscard]] bool decode(std::string_view records, const Take &take);

  private:
    bool started_ = false;
    Sample now_;
};

// Records as a piece of a file.
[[nodiscard]] std::string piece(std::int64_t hour, std::uint64_t run, std::string_view records);

// Takes the piece at the front of what is left of a file: its records. Torn where a crash has left it unfinished.
enum class Front { Piece, Torn, Fault };
struct Taken {
    Front front = Front::Fault;
    history::Fault fault = history::Fault::None;
    std::string_view records;
};
[[nodiscard]] Taken take_piece(std::string_view &bytes, std::int64_t hour, std::uint64_t run);

// How much of a file is whole pieces, from its beginning.
[[nodiscard]] std::size_t whole(std::string_view bytes, std::int64_t hour, std::uint64_t run);

} // namespace wc::core::connections

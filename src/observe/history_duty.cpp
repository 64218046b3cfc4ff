// The monitor's duty to the query history: once a minute it is written to its files, and at a new hour old ones go.
#include "observe/history.hpp"
#include "observe/history_folder.hpp"

namespace wc::observe::history {

namespace {

class Keeping final : public pg::Duty {
  public:
    Keeping() { be_monitor(); }

    [[nodiscard]] std::chrono::milliseconds interval() const override { return std::chrono::minutes(1); }

    [[nodiscard]] Failure failure() const override {
        return {"the query history is not written",
                "It is tried again each minute. Hours of which memory is let go are lost."};
    }

    void look() override {
        try {
            tidy();
            writer_.write();
            note_outcome(0);
        } catch (const pg::Error &error) {
            if (!error.ends_statement())
                note_outcome(error.sqlstate());
            throw;
        }
    }

  private:
    // Removes what is left of an earlier run, and then at each hour what is too old, and looks into what is left.
    void tidy() {
        const int64 first = oldest_hour();
        if (first == first_)
            return;
        if (!first_)
            folder::remove_unfinished();
        prune();
        note_unusable(status().unusable);
        first_ = first;
    }

    Writer writer_;
    std::optional<int64> first_;
};

} // namespace

std::unique_ptr<pg::Duty> duty() {
    return std::make_unique<Keeping>();
}

} // namespace wc::observe::history

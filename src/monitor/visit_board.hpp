// What the processes of a visit share.
//   monitor   puts a visit up, keeps its time, takes it down
//   visitor   begins it, and says what became of it
//   sessions  claim a database: its visitors go, and none comes
#pragma once

#include "monitor/visit.hpp"

namespace wc::monitor::visit::board {

constexpr int places = 3; // visits at once

// A visit as the monitor sees it.
struct Seen {
    bool begun = false;
    bool there = false;    // its process is
    bool gave_way = false; //
    bool done = false;     // it has replied
    int sqlstate = 0;      //
    int64 begun_at = 0;    // microseconds of the monotonic clock
    int64 ended_at = 0;    // the same; 0: not yet
};

void init();

// ---- Monitor.

// Visits that a monitor before this one had put up are not begun any more, and those under way are ended.
void be_monitor();

// Puts a visit up at a place. Returns what its visitor is to be given; nothing where the place is still taken by one
// that hasn't gone, or (claimed) the database is claimed.
struct Put {
    bool put = false;
    bool claimed = false;
    Datum argument = 0;
};
Put put_up(int place, const Request &request);
Seen look(int place);
std::string reply(int place); // of one that is done
void end(int place);          // asks the visitor to stop; the second time ends its process
void take_down(int place);    // nobody is there, or nobody will be

// ---- Visitor.

struct Begun {
    bool begun = false; // else it isn't wanted any more
    int place = 0;
    Purpose purpose = Purpose::Look;
    Oid database = InvalidOid;
};
Begun begin(Datum argument);
std::string request(int place);
void done(int place, const std::string &reply);
void failed(int place, int sqlstate);

} // namespace wc::monitor::visit::board

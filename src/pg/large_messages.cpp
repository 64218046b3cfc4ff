// Large messages at once.
//
// The server has a way to put a message into its buffer without waiting for the client (what it uses while it sends the
// log to a standby), and that way makes the buffer as large as it must be. It empties nothing, though: so what may be
// in the buffer is counted here, and sent before it would become too much. All of it goes through the server's own
// buffer and the server's own code.
#include "pg/large_messages.hpp"

#include "pg/prelude.hpp"

// Of a connection nothing is looked at here: its description would need the headers of GSSAPI.
#undef ENABLE_GSS

extern "C" {
#include "libpq/libpq.h"
#include "miscadmin.h"
}

namespace wc::pg {

namespace {

constexpr size_t smallest = 8192; // what the server's buffer has room for anyway
constexpr size_t largest = 256 * 1024;
constexpr size_t head = 5; // of a message

const PQcommMethods *servers = nullptr;
PQcommMethods ours;
size_t waiting = 0; // at most so many bytes are in the buffer

int flush() {
    const int result = servers->flush();
    if (result == 0)
        waiting = 0;
    return result;
}

int put_message(char type, const char *bytes, size_t size) {
    // The server's way to make room ends with this function, once there is. Where there is no memory it raises, and
    // from then on all goes the server's usual way.
    static bool making_room = false;
    if (making_room || size <= smallest || size > largest - head) {
        waiting += head + size;
        return servers->putmessage(type, bytes, size);
    }
    if (waiting + head + size > largest && flush() != 0)
        return EOF;
    making_room = true;
    servers->putmessage_noblock(type, bytes, size);
    making_room = false;
    return 0;
}

} // namespace

void send_large_messages_at_once() noexcept {
    if (servers != nullptr || MyProcPort == nullptr || MyBackendType != B_BACKEND)
        return;
    // What is in the buffer by now is no more than it has room for as it comes.
    waiting = smallest;
    servers = PqCommMethods;
    ours = *servers;
    ours.flush = flush;
    ours.putmessage = put_message;
    PqCommMethods = &ours;
}

} // namespace wc::pg

// Messages to the client that are larger than the server's buffer for them.
#pragma once

namespace wc::pg {

// From now on this session hands a message of up to a quarter of a megabyte to the network as one, and keeps a buffer
// as large as the largest of them: the server itself does it in pieces of 8 kB, with a call of the kernel, and often a
// change to the client and back, for each. Nothing where there is no client. Never raises.
void send_large_messages_at_once() noexcept;

} // namespace wc::pg

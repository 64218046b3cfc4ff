// Where the client of this session is, found out once for each session.
#include "observe/client.hpp"

extern "C" {
#include <netinet/in.h>
#include <sys/socket.h>

#include "common/hashfn.h"
#include "utils/backend_status.h"
}

namespace wc::observe::client {

namespace {

struct Client {
    bool known;
    Place place;
    uint64 host;
};

Client client = {};

constexpr uint64 seed = 0x77634c69656e7400; // a hash of an address is not one of anything else

bool is_loopback(const in6_addr &address) {
    return IN6_IS_ADDR_LOOPBACK(&address) || (IN6_IS_ADDR_V4MAPPED(&address) && address.s6_addr[12] == 127);
}

Client look() noexcept {
    if (MyBEEntry == nullptr)
        return {};
    const sockaddr_storage &address = MyBEEntry->st_clientaddr.addr;
    const void *bytes = nullptr;
    int length = 0;
    bool local = false;
    switch (address.ss_family) {
    case AF_INET: {
        const auto &four = reinterpret_cast<const sockaddr_in &>(address);
        bytes = &four.sin_addr;
        length = sizeof(four.sin_addr);
        local = (ntohl(four.sin_addr.s_addr) >> 24) == 127;
        break;
    }
    case AF_INET6: {
        const auto &six = reinterpret_cast<const sockaddr_in6 &>(address);
        bytes = &six.sin6_addr;
        length = sizeof(six.sin6_addr);
        local = is_loopback(six.sin6_addr);
        break;
    }
    case AF_UNIX: // whose client has no address
        return {true, Place::Local, 1};
    default: // what is no session of a client has none in its entry
        return {true, Place::None, 0};
    }
    // However a client reaches the server on its own machine, it is one host.
    if (local)
        return {true, Place::Local, 1};
    return {true, Place::Network, hash_bytes_extended(static_cast<const unsigned char *>(bytes), length, seed)};
}

const Client &known() noexcept {
    if (!client.known)
        client = look();
    return client;
}

} // namespace

Place place() noexcept {
    return known().place;
}

uint64 host() noexcept {
    return known().host;
}

} // namespace wc::observe::client

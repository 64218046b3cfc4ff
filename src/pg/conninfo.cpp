// Connection strings that a process which must never wait can connect with.
#include "pg/conninfo.hpp"

#include <cstring>

#include <arpa/inet.h>

#include "libpq-fe.h"

namespace wc::pg {

namespace {

// The value of an option; empty where it is not given.
const char *value(const PQconninfoOption *options, const char *keyword) {
    for (const PQconninfoOption *option = options; option->keyword != nullptr; ++option)
        if (strcmp(option->keyword, keyword) == 0 && option->val != nullptr)
            return option->val;
    return "";
}

bool given(const PQconninfoOption *options, const char *keyword) {
    return *value(options, keyword) != '\0';
}

bool is_list(const PQconninfoOption *options, const char *keyword) {
    return strchr(value(options, keyword), ',') != nullptr;
}

bool is_address(const char *host) {
    unsigned char address[sizeof(in6_addr)];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

bool is_directory(const char *host) {
    return *host == '/' || *host == '@';
}

const char *objection(const PQconninfoOption *options) {
    if (given(options, "password") || given(options, "sslpassword"))
        return "The value must have no password in it: name a file that has it, with passfile.";
    if (given(options, "service"))
        return "The value must not name a service, whose file could name a host to be resolved.";
    if (is_list(options, "host") || is_list(options, "hostaddr") || is_list(options, "port"))
        return "The value must name one pooler, not several.";
    if (strcmp(value(options, "gssencmode"), "") != 0 && strcmp(value(options, "gssencmode"), "disable") != 0)
        return "The value must not ask for GSSAPI encryption, which waits for a ticket.";
    if (given(options, "hostaddr"))
        return nullptr;
    const char *const host = value(options, "host");
    if (*host == '\0')
        return "The value must name an address with hostaddr, or a directory of sockets with host.";
    if (!is_directory(host) && !is_address(host))
        return "A host that is a name needs hostaddr besides: nothing is resolved while the server is watched.";
    return nullptr;
}

} // namespace

const char *conninfo_objection(const char *conninfo) {
    if (conninfo == nullptr || *conninfo == '\0')
        return nullptr;
    PQconninfoOption *const options = PQconninfoParse(conninfo, nullptr); // its own error may quote a password
    if (options == nullptr)
        return "The value must be a connection string, as libpq takes it.";
    const char *const found = objection(options);
    PQconninfoFree(options);
    return found;
}

} // namespace wc::pg

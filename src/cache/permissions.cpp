// What the current user may do with a query that it does not run.
#include "cache/permissions.hpp"

#include "pg/compat.hpp"

namespace wc::cache {

void check_tables(List *checked) {
    pg::call([=] { pg::compat::check_tables(checked); });
}

std::vector<Oid> forbidden(const std::vector<Oid> &functions) {
    std::vector<Oid> out(functions.size());
    Oid *const found = out.data();
    const Oid *const first = functions.data();
    const size_t count = functions.size();
    out.resize(pg::call([=] {
        size_t forbidden = 0;
        for (size_t i = 0; i < count; ++i)
            if (!pg::compat::may_call(first[i]))
                found[forbidden++] = first[i];
        return forbidden;
    }));
    return out;
}

} // namespace wc::cache

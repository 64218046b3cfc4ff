// What the current user may do with a query that it does not run.
#include "cache/permissions.hpp"

#include "pg/compat.hpp"

namespace wc::cache {

void check_permissions(List *checked, const std::vector<Oid> &functions) {
    const Oid *const first = functions.data();
    const size_t count = functions.size();
    pg::call([=] {
        pg::compat::check_tables(checked);
        for (size_t i = 0; i < count; ++i)
            pg::compat::check_function(first[i]);
    });
}

} // namespace wc::cache

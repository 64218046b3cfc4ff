// What a process keeps of the memory that it has freed.
#include "pg/freed_memory.hpp"

#include <cstdlib>
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace wc::pg {

void keep_freed_memory() noexcept {
#ifdef __GLIBC__
    static bool done = false;
    if (done)
        return;
    done = true;
    constexpr int megabyte = 1024 * 1024;
    // Where one of them can't be set, statements are slower, and nothing else.
    (void)mallopt(M_MMAP_THRESHOLD, 4 * megabyte);
    (void)mallopt(M_TRIM_THRESHOLD, 8 * megabyte);
    (void)mallopt(M_TOP_PAD, megabyte);
#endif
}

} // namespace wc::pg

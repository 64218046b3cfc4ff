// The folder of the histories.
#include "observe/history_folder.hpp"

#include <algorithm>

extern "C" {
#include "common/file_perm.h"
#include "storage/fd.h"
#include <sys/stat.h>
#include <unistd.h>
}

namespace wc::observe::history::folder {

namespace {

constexpr const char *folder = "pg_stat/whitecross";
constexpr std::string_view unfinished = ".unfinished";
constexpr off_t largest = 1024L * 1024 * 1024; // of a file that is read; palloc's own limit

std::string path_of(const std::string &name) {
    return std::string(folder) + "/" + name;
}

// Plain server code, to be called inside a guard; `what` is a verb.
[[noreturn]] void fail(const char *what, const char *path) {
    ereport(ERROR, (errcode_for_file_access(), errmsg("could not %s file \"%s\": %m", what, path)));
    pg_unreachable();
}

// Every name in the folder, but its own and its parent's.
std::vector<std::string> names() {
    std::vector<std::string> found;
    DIR *const directory = pg::call([] {
        DIR *opened = AllocateDir(folder);
        if (opened == nullptr && errno != ENOENT)
            ereport(ERROR, (errcode_for_file_access(), errmsg("could not open directory \"%s\": %m", folder)));
        return opened;
    });
    if (directory == nullptr)
        return found;
    // ReadDir() raises what it can't read; the directory is then closed with the transaction, or the process.
    while (const dirent *const entry = pg::call([=] { return ReadDir(directory, folder); }))
        if (const std::string_view name = entry->d_name; name != "." && name != "..")
            found.emplace_back(name);
    (void)FreeDir(directory);
    std::sort(found.begin(), found.end());
    return found;
}

// Plain server code: all of the bytes into a new file, and whether that went well; errno tells what did not.
bool fill(const char *path, const char *bytes, size_t size) {
    const int file = OpenTransientFile(path, O_CREAT | O_TRUNC | O_WRONLY | PG_BINARY);
    if (file < 0)
        return false;
    while (size > 0) {
        errno = 0;
        const ssize_t written = ::write(file, bytes, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            const int error = errno != 0 ? errno : ENOSPC; // as the server takes a short write
            (void)CloseTransientFile(file);
            errno = error;
            return false;
        }
        bytes += written;
        size -= static_cast<size_t>(written);
    }
    return CloseTransientFile(file) == 0;
}

// Plain server code: the same from a place of a file on that is open.
bool write_at(int file, off_t place, const char *bytes, size_t size) {
    while (size > 0) {
        errno = 0;
        const ssize_t written = pg_pwrite(file, bytes, size, place);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            errno = errno != 0 ? errno : ENOSPC;
            return false;
        }
        bytes += written;
        place += written;
        size -= static_cast<size_t>(written);
    }
    return true;
}

// Plain server code: closes a file, whose error is told afterwards.
[[noreturn]] void close_and_fail(int file, const char *what, const char *path) {
    const int error = errno;
    (void)CloseTransientFile(file);
    errno = error;
    fail(what, path);
}

void make_folder() {
    pg::call([] {
        if (MakePGDirectory(folder) == 0)
            fsync_fname("pg_stat", true);
        else if (errno != EEXIST)
            ereport(ERROR, (errcode_for_file_access(), errmsg("could not create directory \"%s\": %m", folder)));
    });
}

} // namespace

std::vector<Entry> list() {
    std::vector<Entry> entries;
    for (std::string &name : names()) {
        if (name.ends_with(unfinished))
            continue;
        const auto file = core::history::parse_name(name);
        entries.push_back({std::move(name), file});
    }
    return entries;
}

std::optional<std::string> read(const std::string &name) {
    const std::string path = path_of(name);
    const char *const file_path = path.c_str();
    const int file = pg::call([=] {
        const int opened = OpenTransientFile(file_path, O_RDONLY | PG_BINARY);
        if (opened < 0 && errno != ENOENT)
            fail("open", file_path);
        return opened;
    });
    if (file < 0)
        return {};
    struct Closed {
        int file;
        ~Closed() { (void)CloseTransientFile(file); }
    } const closed{file};
    struct stat facts = {};
    if (fstat(file, &facts) != 0)
        pg::call([=] { fail("stat", file_path); });
    if (!S_ISREG(facts.st_mode) || facts.st_size > largest)
        pg::call([=] {
            ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                            errmsg("\"%s\" is no regular file, or too large for one of the query history", file_path)));
        });
    std::string bytes(static_cast<size_t>(facts.st_size), '\0');
    size_t have = 0;
    while (have < bytes.size()) {
        const ssize_t got = ::read(file, bytes.data() + have, bytes.size() - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            pg::call([=] { fail("read", file_path); });
        if (got == 0)
            break;
        have += static_cast<size_t>(got);
    }
    bytes.resize(have);
    return bytes;
}

std::optional<std::string> read(const std::string &name, Problem problem) {
    try {
        return read(name);
    } catch (const pg::Error &error) {
        if (error.ends_statement())
            throw;
        problem(name, "can't be read");
        return {};
    }
}

void warn(const std::string &name, std::string_view what, const char *outcome) {
    const std::string description(what);
    const char *const file = name.c_str();
    const char *const problem = description.c_str();
    pg::call([=] {
        ereport(WARNING, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("\"%s\" %s, and %s", file, problem, outcome),
                          errhint("Remove it from pg_stat/whitecross in the data folder.")));
    });
}

int64 size(const std::string &name) {
    struct stat facts = {};
    return stat(path_of(name).c_str(), &facts) == 0 ? facts.st_size : 0;
}

void write(const std::string &name, const std::string &bytes) {
    make_folder();
    const std::string path = path_of(name);
    const std::string new_path = path + std::string(unfinished);
    const char *const final_path = path.c_str();
    const char *const first_path = new_path.c_str();
    const char *const content = bytes.data();
    const size_t size = bytes.size();
    pg::call([=] {
        if (!fill(first_path, content, size)) {
            const int error = errno;
            (void)unlink(first_path);
            errno = error;
            fail("write", first_path);
        }
        if (durable_rename(first_path, final_path, LOG) != 0) {
            const int error = errno;
            (void)unlink(first_path);
            errno = error;
            fail("rename", first_path);
        }
    });
}

void append(const std::string &name, int64 place, const std::string &bytes) {
    make_folder();
    const std::string path = path_of(name);
    const char *const file_path = path.c_str();
    const char *const content = bytes.data();
    const size_t size = bytes.size();
    pg::call([=] {
        const int file = OpenTransientFile(file_path, O_RDWR | (place == 0 ? O_CREAT : 0) | PG_BINARY);
        if (file < 0)
            fail("open", file_path);
        struct stat facts = {};
        if (fstat(file, &facts) != 0)
            close_and_fail(file, "stat", file_path);
        if (facts.st_size < place) {
            (void)CloseTransientFile(file);
            ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                            errmsg("file \"%s\" is shorter than what was written to it", file_path)));
        }
        // What an attempt that failed has left behind.
        if (facts.st_size > place && ftruncate(file, place) != 0)
            close_and_fail(file, "truncate", file_path);
        if (!write_at(file, place, content, size))
            close_and_fail(file, "write", file_path);
        if (pg_fsync(file) != 0)
            close_and_fail(file, "fsync", file_path);
        if (CloseTransientFile(file) != 0)
            fail("close", file_path);
        if (place == 0)
            fsync_fname(folder, true);
    });
}

void remove(const std::string &name) {
    const std::string path = path_of(name);
    const char *const file_path = path.c_str();
    pg::call([=] {
        if (unlink(file_path) != 0 && errno != ENOENT)
            fail("remove", file_path);
    });
}

void remove_unfinished() {
    for (const std::string &name : names())
        if (name.ends_with(unfinished) && core::history::parse_name(name.substr(0, name.size() - unfinished.size())))
            remove(name);
}

} // namespace wc::observe::history::folder

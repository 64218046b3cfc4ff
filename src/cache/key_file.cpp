// Files with secrets.
#include "cache/key_file.hpp"

#include <array>
#include <cerrno>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

namespace wc::cache::key_file {

namespace {

using Buffer = std::array<char, 4096>;

// Not left in memory, wherever its use ends.
class Bytes {
  public:
    Bytes() = default;
    Bytes(const Bytes &) = delete;
    Bytes &operator=(const Bytes &) = delete;
    ~Bytes() { OPENSSL_cleanse(buffer.data(), buffer.size()); }
    [[nodiscard]] std::string_view view() const { return {buffer.data(), size}; }

    Buffer buffer;
    size_t size = 0;
};

class File {
  public:
    // Neither waits for the other end of a pipe nor takes a terminal.
    explicit File(const char *path) : handle_(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {}
    File(const File &) = delete;
    File &operator=(const File &) = delete;
    ~File() {
        if (handle_ >= 0)
            close(handle_);
    }
    [[nodiscard]] int handle() const { return handle_; }

  private:
    int handle_;
};

const char *read_file(const char *path, Bytes &bytes) {
    const File file(path);
    if (file.handle() < 0)
        return errno == ENOENT   ? "does not exist"
               : errno == EACCES ? "may not be read by the server"
                                 : "can't be opened";
    struct stat status = {};
    if (fstat(file.handle(), &status) != 0 || !S_ISREG(status.st_mode))
        return "is no regular file";
    if (status.st_uid != geteuid())
        return "belongs to another user than the server's";
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return "can be used by other users (chmod 0600 keeps them out)";
    for (;;) {
        const ssize_t got = read(file.handle(), bytes.buffer.data() + bytes.size, bytes.buffer.size() - bytes.size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return "can't be read";
        if (got == 0)
            return nullptr;
        bytes.size += static_cast<size_t>(got);
        if (bytes.size == bytes.buffer.size())
            return "is too long";
    }
}

std::string_view take_line(std::string_view &text) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.empty() && line.back() == '\r')
        line.remove_suffix(1);
    return line;
}

int digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool parse_key(std::string_view line, seal::Key &key) {
    if (line.size() != key.size() * 2)
        return false;
    for (size_t i = 0; i < key.size(); ++i) {
        const int high = digit(line[2 * i]);
        const int low = digit(line[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        key[i] = static_cast<unsigned char>(high << 4 | low);
    }
    return true;
}

} // namespace

Mark mark_of(const char *path) noexcept {
    struct stat status = {};
    if (stat(path, &status) != 0)
        return {};
    const auto nanoseconds = [](const timespec &time) { return std::int64_t{time.tv_sec} * 1000000000 + time.tv_nsec; };
    return {status.st_dev, status.st_ino, status.st_size, nanoseconds(status.st_mtim), nanoseconds(status.st_ctim)};
}

const char *read_keys(const char *path, std::vector<seal::Key> &keys) {
    keys.clear();
    Bytes bytes;
    if (const char *const problem = read_file(path, bytes); problem != nullptr)
        return problem;
    for (std::string_view rest = bytes.view(); !rest.empty();) {
        const std::string_view line = take_line(rest);
        if (line.empty() || line.front() == '#')
            continue;
        if (keys.size() == most_keys)
            return "has more than 8 keys";
        seal::Key key = {};
        if (!parse_key(line, key))
            return "has a line that is no key: 64 hexadecimal digits";
        keys.push_back(key);
        OPENSSL_cleanse(key.data(), key.size());
    }
    return keys.empty() ? "has no key in it" : nullptr;
}

const char *read_password(const char *path, std::string &password) {
    password.clear();
    Bytes bytes;
    if (const char *const problem = read_file(path, bytes); problem != nullptr)
        return problem;
    std::string_view rest = bytes.view();
    password = take_line(rest);
    return password.empty() ? "has no password in its first line" : nullptr;
}

} // namespace wc::cache::key_file

// Files with secrets: what is taken, and what is refused.
#include "cache/key_file.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

namespace {

namespace key_file = wc::cache::key_file;
namespace seal = wc::cache::seal;

class KeyFile : public testing::Test {
  protected:
    void SetUp() override {
        std::string place = testing::TempDir() + "key_file.XXXXXX";
        ASSERT_NE(mkdtemp(place.data()), nullptr);
        folder = place;
        path = folder + "/keys";
    }
    void TearDown() override {
        unlink(path.c_str());
        rmdir(folder.c_str());
    }
    void write(const std::string &text, mode_t mode = 0600) const {
        unlink(path.c_str());
        std::ofstream(path) << text;
        ASSERT_EQ(chmod(path.c_str(), mode), 0);
    }
    std::string problem() {
        const char *const found = key_file::read_keys(path.c_str(), keys);
        return found != nullptr ? found : "";
    }

    std::string folder;
    std::string path;
    std::vector<seal::Key> keys;
};

const std::string first(64, '1');
const std::string second = "00112233445566778899aabbccddeeffFFEEDDCCBBAA99887766554433221100";

TEST_F(KeyFile, HasKeysInTheirOrder) {
    write("# of this year\n" + second + "\r\n\n# of last year\n" + first);
    EXPECT_EQ(problem(), "");
    ASSERT_EQ(keys.size(), 2U);
    EXPECT_EQ(keys[0][1], 0x11);
    EXPECT_EQ(keys[0][15], 0xff);
    EXPECT_EQ(keys[0][16], 0xff);
    EXPECT_EQ(keys[1][31], 0x11);
}

TEST_F(KeyFile, IsOfTheServersUserAlone) {
    for (const mode_t mode : {0640, 0604, 0620, 0602, 0610, 0777}) {
        write(first, mode);
        EXPECT_NE(problem().find("other users"), std::string::npos) << std::oct << mode;
        EXPECT_TRUE(keys.empty());
    }
    write(first, 0400);
    EXPECT_EQ(problem(), "");
    if (geteuid() == 0) {
        ASSERT_EQ(chown(path.c_str(), 1, 1), 0);
        EXPECT_NE(problem().find("another user"), std::string::npos);
    }
}

TEST_F(KeyFile, RefusesWhatIsNone) {
    EXPECT_NE(problem().find("does not exist"), std::string::npos);
    write("");
    EXPECT_NE(problem().find("no key"), std::string::npos);
    write("# nothing\n\n");
    EXPECT_NE(problem().find("no key"), std::string::npos);
    for (const std::string &text :
         {first + "1", first.substr(1), first.substr(1) + "g", first + " ", " " + first.substr(1)}) {
        write(text);
        EXPECT_NE(problem().find("64 hex"), std::string::npos) << text;
        EXPECT_EQ(problem().find("111"), std::string::npos);
    }
    std::string many;
    for (size_t i = 0; i < key_file::most_keys + 1; ++i)
        many += first + "\n";
    write(many);
    EXPECT_NE(problem().find("more than"), std::string::npos);
    write(std::string(5000, '#'));
    EXPECT_NE(problem().find("too long"), std::string::npos);
    unlink(path.c_str());
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0); // and nobody at its other end
    EXPECT_NE(problem().find("regular"), std::string::npos);
}

TEST_F(KeyFile, PasswordIsTheFirstLine) {
    std::string password;
    write("Correct Horse \nnext");
    EXPECT_EQ(key_file::read_password(path.c_str(), password), nullptr);
    EXPECT_EQ(password, "Correct Horse ");
    write("\nnext");
    EXPECT_NE(key_file::read_password(path.c_str(), password), nullptr);
    write("x", 0644);
    EXPECT_NE(key_file::read_password(path.c_str(), password), nullptr);
    EXPECT_EQ(password, "");
}

TEST_F(KeyFile, IsMarkedByWhatChanges) {
    EXPECT_EQ(key_file::mark_of(path.c_str()), key_file::Mark());
    write(first);
    const key_file::Mark before = key_file::mark_of(path.c_str());
    EXPECT_NE(before, key_file::Mark());
    EXPECT_EQ(key_file::mark_of(path.c_str()), before);
    write(first + "\n");
    EXPECT_NE(key_file::mark_of(path.c_str()), before);
}

} // namespace

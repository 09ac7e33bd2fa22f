// Files: whole or absent when written, mapped or read only where they are regular ones.
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "base/file.h"
#include "io/atomic_file.h"
#include "io/gguf.h"
#include "io/safetensors.h"
#include "io/temporary_folder.h"

namespace hone::io {
namespace {

using ::testing::HasSubstr;

constexpr const char* kEmptySha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

TEST(AtomicFile, IsWholeOrAbsent) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "f";
  {
    AtomicFile file(path);
    file.write("half");
    EXPECT_FALSE(std::filesystem::exists(path)) << "nothing stands under the name before finish()";
  }
  EXPECT_EQ(folder.files(), 0u) << "what was not finished is removed";
  AtomicFile file(path);
  file.expect(7);
  file.write("abc");
  file.write_zeros(4);
  EXPECT_EQ(file.bytes(), 7u);
  const std::string sha256 = file.finish();
  EXPECT_EQ(read_file(path), std::string("abc\0\0\0\0", 7));
  EXPECT_EQ(sha256, sha256_of_file(path));
  EXPECT_EQ(folder.files(), 1u);
}

TEST(AtomicFile, ReplacesAndKeepsTheOldOneUntilThen) {
  const TemporaryFolder folder;
  const auto path = folder.file("f", "old");
  EXPECT_EQ(write_file(path, ""), kEmptySha256);
  EXPECT_EQ(read_file(path), "");
  write_file(path, "new");
  {
    AtomicFile unfinished(path);
    unfinished.write("newer");
  }
  EXPECT_EQ(read_file(path), "new");
  EXPECT_EQ(folder.files(), 1u);
}

TEST(AtomicFile, IsPlacedByItsContent) {
  const TemporaryFolder folder;
  AtomicFile file(folder.path() / "incoming");
  const std::string sha256 = file.finish([&](const std::string& hex) { return folder.path() / hex; });
  EXPECT_TRUE(std::filesystem::exists(folder.path() / kEmptySha256));
  AtomicFile refused(folder.path() / "incoming");
  EXPECT_THROW(refused.finish([](const std::string&) -> std::filesystem::path { throw Error(ErrorCode::kBusy, "place", "none"); }), Error);
  EXPECT_EQ(folder.files(), 1u) << "what place() throws leaves no file";
}

TEST(AtomicFile, NamesWhatItCannotCreate) {
  const TemporaryFolder folder;
  EXPECT_THAT(refusal([&] { AtomicFile(folder.path() / "missing" / "f"); }), HasSubstr("create the folder first"));
  EXPECT_THAT(refusal([&] { AtomicFile(folder.file("f", "") / "g"); }), HasSubstr("a file stands where a folder is wanted"));
}

TEST(MappedFile, HoldsTheBytesAndSeesChanges) {
  const TemporaryFolder folder;
  const auto path = folder.file("f", "content");
  const auto mapped = MappedFile::open(path);
  ASSERT_EQ(mapped->size(), 7u);
  EXPECT_EQ(std::memcmp(mapped->data(), "content", 7), 0);
  EXPECT_STREQ(mapped_path_at(mapped->data() + 3), path.c_str());
  EXPECT_EQ(mapped_path_at(&folder), nullptr);
  EXPECT_NO_THROW(mapped->check_unchanged());
  mapped->drop_pages();
  EXPECT_EQ(std::memcmp(mapped->data(), "content", 7), 0);
  folder.file("f", "longer content");
  EXPECT_THAT(refusal([&] { mapped->check_unchanged(); }), HasSubstr("changed while it was in use (7 bytes, now 14)"));
  EXPECT_EQ(MappedFile::open(folder.file("empty", ""))->size(), 0u);
}

// A pipe would be waited for, a device may never end: nothing but a regular file is read, whoever reads.
TEST(RegularFiles, AreTheOnlyOnesRead) {
  const TemporaryFolder folder;
  const auto pipe = folder.path() / "pipe", socket = folder.path() / "socket", inside = folder.path() / "folder";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::filesystem::create_directory(inside);
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket.c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  const std::pair<std::filesystem::path, const char*> bad[] = {
      {pipe, "is a named pipe"}, {"/dev/null", "is a device"}, {"/dev/zero", "is a device"}, {inside, "is a folder"}, {socket, ""}, {folder.path() / "absent", "No such file"}};
  for (const auto& [path, reason] : bad) {
    EXPECT_THAT(refusal([&] { read_file(path); }), HasSubstr(reason)) << path;
    EXPECT_THAT(refusal([&] { MappedFile::open(path); }), HasSubstr(reason)) << path;
    EXPECT_THAT(refusal([&] { sha256_of_file(path); }), HasSubstr(reason)) << path;
    EXPECT_THAT(refusal([&] { Gguf::open(path); }), HasSubstr(reason)) << path;
    EXPECT_THAT(refusal([&] { Safetensors::open(path); }), HasSubstr(reason)) << path;
    EXPECT_NE(refusal([&] { read_file(path); }), "nothing was refused") << path;
  }
  ::close(descriptor);
}

TEST(RegularFiles, AreReadUpToALimit) {
  const TemporaryFolder folder;
  const auto path = folder.file("f", std::string(100, 'x'));
  EXPECT_EQ(read_file(path, 100).size(), 100u);
  EXPECT_THAT(refusal([&] { read_file(path, 99); }), HasSubstr("larger than 99 bytes"));
}

}  // namespace
}  // namespace hone::io

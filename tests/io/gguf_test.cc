// GGUF: what is written is read back, and every kind of bad file is refused with its reason.
#include <gmock/gmock.h>

#include "io/gguf_writer.h"
#include "io/temporary_folder.h"

namespace hone::io {
namespace {

using ::testing::HasSubstr;

TEST(Gguf, ReadsBackWhatWasWritten) {
  const TemporaryFolder folder;
  const GgufMetadata metadata = {{"text", std::string("zwölf")},
                                 {"small", int64_t{7}},
                                 {"negative", int64_t{-3}},
                                 {"large", int64_t{1} << 40},
                                 {"half", 0.5},
                                 {"yes", true},
                                 {"words", std::vector<std::string>{"a", ""}},
                                 {"numbers", std::vector<int64_t>{1, -2}},
                                 {"reals", std::vector<double>{0.25}}};
  const std::vector<GgufEntry> entries = {{"a", DType::kF32, {3}}, {"b", DType::kQ8_0, {2, 32}}, {"c", DType::kF16, {2, 1, 3}}};
  GgufWriter writer(folder.path() / "m.gguf", metadata, entries);
  const std::string bytes(12 + 2 * 34 + 12, '\x2a');
  writer.write(bytes.data(), 5);  // pieces may cross the tensors' ends only where a tensor ends
  writer.write(bytes.data(), 7);
  writer.write(bytes.data(), 68);
  writer.write(bytes.data(), 12);
  EXPECT_EQ(writer.finish().size(), 64u);

  const Gguf gguf = Gguf::open(folder.path() / "m.gguf");
  EXPECT_EQ(gguf.version(), 3u);
  EXPECT_EQ(gguf.string("text"), "zwölf");
  EXPECT_EQ(gguf.integer("small"), 7);
  EXPECT_EQ(gguf.integer("negative"), -3);
  EXPECT_EQ(gguf.integer("large"), int64_t{1} << 40);
  EXPECT_EQ(gguf.real("half"), 0.5);
  EXPECT_EQ(gguf.real("small"), 7) << "integers serve as floats";
  EXPECT_EQ(gguf.find_bool("yes"), true);
  EXPECT_EQ(*gguf.find_strings("words"), (std::vector<std::string>{"a", ""}));
  EXPECT_EQ(*gguf.find_ints("numbers"), (std::vector<int64_t>{1, -2}));
  EXPECT_EQ(*gguf.find_floats("reals"), std::vector<double>{0.25});
  EXPECT_EQ(gguf.find_int("absent"), std::nullopt);
  EXPECT_EQ(gguf.tensor_names(), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(gguf.tensor("b").shape(), (Shape{2, 32}));
  EXPECT_EQ(gguf.tensor("c").shape(), (Shape{2, 1, 3}));
  EXPECT_EQ(gguf.tensor("c").dtype(), DType::kF16);
  EXPECT_EQ(std::string(static_cast<const char*>(gguf.tensor("b").raw()), 68), bytes.substr(0, 68));
  EXPECT_THAT(refusal([&] { gguf.string("absent"); }), HasSubstr("\"absent\" is missing"));
  EXPECT_THAT(refusal([&] { gguf.integer("text"); }), HasSubstr("\"text\": expected an integer"));
  EXPECT_THAT(refusal([&] { gguf.tensor("absent"); }), HasSubstr("\"absent\" is missing"));
}

TEST(Gguf, TypesHaveTheirNumbersBothWays) {
  for (uint32_t number = 0; number < 64; ++number)
    if (const auto type = dtype_of_gguf(number)) {
      EXPECT_EQ(gguf_type(*type), number);
    }
  EXPECT_EQ(dtype_of_gguf(10), std::nullopt) << "Q2_K is not read";
}

// The bytes of a file, by hand.
class Bytes {
 public:
  explicit Bytes(uint32_t version = 3, uint64_t tensors = 0, uint64_t keys = 0) { text_ = "GGUF", u32(version).u64(tensors).u64(keys); }
  Bytes& u8(uint8_t value) { return raw(&value, 1); }
  Bytes& u32(uint32_t value) { return raw(&value, 4); }
  Bytes& u64(uint64_t value) { return raw(&value, 8); }
  Bytes& text(const std::string& value) { return u64(value.size()).add(value); }
  Bytes& add(const std::string& value) { return text_ += value, *this; }
  Bytes& key(const std::string& name, uint32_t type) { return text(name).u32(type); }
  Bytes& tensor(const std::string& name, std::initializer_list<uint64_t> sizes, uint32_t type, uint64_t offset) {
    text(name).u32(static_cast<uint32_t>(sizes.size()));
    for (const uint64_t size : sizes) u64(size);
    return u32(type).u64(offset);
  }
  /// Zeros up to the alignment, then so many bytes of data.
  Bytes& data(size_t bytes) { return text_.resize((text_.size() + 31) / 32 * 32 + bytes), *this; }
  operator std::string() const { return text_; }  // NOLINT: the test's own

 private:
  Bytes& raw(const void* value, size_t bytes) { return text_.append(static_cast<const char*>(value), bytes), *this; }
  std::string text_;
};

struct BadGguf {
  const char* name;
  std::string bytes;
  const char* reason;
};

constexpr uint64_t kHuge = uint64_t{1} << 62;

const std::vector<BadGguf>& bad_ggufs() {
  static const std::vector<BadGguf> all = {
      {"empty", "", "not a GGUF file"},
      {"other_magic", "GGML" + std::string(60, '\0'), "not a GGUF file"},
      {"magic_only", "GGUF", "ends inside the version"},
      {"version_1", Bytes(1), "version 2 or 3, found 1"},
      {"version_9", Bytes(9), "version 2 or 3, found 9"},
      {"big_endian", Bytes(0x03000000), "big-endian"},
      {"no_counts", std::string("GGUF\3\0\0\0\1", 9), "ends inside the tensor count"},
      {"tensors_beyond_the_file", Bytes(3, kHuge), "tensor count"},
      {"keys_beyond_the_file", Bytes(3, 0, kHuge), "metadata count"},
      {"key_name_beyond_the_file", Bytes(3, 0, 1).u64(kHuge).u64(0), "metadata key"},
      {"value_missing", Bytes(3, 0, 1).key("a-longer-name", 4), "ends inside the metadata value"},
      {"value_type_unknown", Bytes(3, 0, 1).key("k", 99).u64(0), "metadata type 99 is unknown"},
      {"boolean_of_2", Bytes(3, 0, 1).key("key", 7).u8(2), "boolean (0 or 1), found 2"},
      {"integer_beyond_63_bits", Bytes(3, 0, 1).key("k", 10).u64(UINT64_MAX), "larger than 2^63"},
      {"string_beyond_the_file", Bytes(3, 0, 1).key("k", 8).u64(kHuge), "metadata string"},
      {"array_beyond_the_file", Bytes(3, 0, 1).key("k", 9).u32(4).u64(kHuge), "array length"},
      {"array_of_arrays", Bytes(3, 0, 1).key("k", 9).u32(9).u64(1), "arrays of arrays"},
      {"array_of_unknown", Bytes(3, 0, 1).key("k", 9).u32(77).u64(1), "element type 77 is unknown"},
      {"key_twice", Bytes(3, 0, 2).key("k", 0).u8(1).key("k", 0).u8(2), "\"k\" appears twice"},
      {"alignment_of_7", Bytes(3, 0, 1).key("general.alignment", 4).u32(7), "general.alignment 7"},
      {"no_dimensions", Bytes(3, 1).tensor("t", {}, 0, 0).u64(0), "1 to 4 dimensions, found 0"},
      {"five_dimensions", Bytes(3, 1).tensor("t", {1, 1, 1, 1, 1}, 0, 0), "1 to 4 dimensions, found 5"},
      {"dimension_of_0", Bytes(3, 1).tensor("t", {0}, 0, 0).data(32), "dimension 0 is 0"},
      {"dimension_too_large", Bytes(3, 1).tensor("t", {kHuge}, 0, 0).data(32), "dimension 0 is"},
      {"elements_overflow", Bytes(3, 1).tensor("t", {1 << 30, 1 << 30}, 0, 0).data(32), "more elements than any file"},
      {"type_unknown", Bytes(3, 1).tensor("t", {4}, 10, 0).data(32), "GGUF type 10"},
      {"broken_blocks", Bytes(3, 1).tensor("t", {31}, 8, 0).data(64), "not whole Q8_0 blocks"},
      {"offset_unaligned", Bytes(3, 1).tensor("t", {4}, 0, 4).data(64), "not a multiple of 32"},
      {"data_missing", Bytes(3, 1).tensor("t", {64}, 0, 0).data(32), "needs 256 bytes"},
      {"offset_beyond_the_file", Bytes(3, 1).tensor("t", {4}, 0, kHuge).data(32), "needs 16 bytes"},
      {"tensors_overlap", Bytes(3, 2).tensor("t", {16}, 0, 0).tensor("u", {16}, 0, 32).data(96), "overlap"},
      {"tensor_twice", Bytes(3, 2).tensor("t", {4}, 0, 0).tensor("t", {4}, 0, 32).data(64), "\"t\" appears twice"},
  };
  return all;
}

class BadGgufFile : public ::testing::TestWithParam<size_t> {};

TEST_P(BadGgufFile, IsRefusedWithItsReason) {
  const TemporaryFolder folder;
  const BadGguf& bad = bad_ggufs()[GetParam()];
  const auto file = folder.file("bad.gguf", bad.bytes);
  const std::string words = refusal([&] { Gguf::open(file); });
  EXPECT_THAT(words, HasSubstr(bad.reason));
  EXPECT_THAT(words, HasSubstr(file.string()));
}

INSTANTIATE_TEST_SUITE_P(Catalogue, BadGgufFile, ::testing::Range(size_t{0}, bad_ggufs().size()),
                         [](const auto& i) { return std::string(bad_ggufs()[i.param].name); });

// Every prefix of a good file is refused or, where only padding is gone, read; none reads beyond its end (the sanitizers watch).
TEST(Gguf, NoCutFileIsReadBeyondItsEnd) {
  const TemporaryFolder folder;
  const std::string whole = Bytes(3, 2, 2).key("name", 8).text("value").key("list", 9).u32(5).u64(2).u32(1).u32(2).tensor("t", {4}, 0, 0).tensor("u", {32}, 8, 32).data(66);
  ASSERT_NO_THROW(Gguf::open(folder.file("whole.gguf", whole)));
  for (size_t n = 0; n < whole.size(); ++n) EXPECT_NE(refusal([&] { Gguf::open(folder.file("cut.gguf", whole.substr(0, n))); }), "nothing was refused") << n;
}

TEST(GgufWriter, RefusesMissingTensors) {
  const TemporaryFolder folder;
  {
    GgufWriter writer(folder.path() / "m.gguf", {}, {{"a", DType::kF32, {3}}});
    EXPECT_THROW(writer.finish(), Error);
  }
  EXPECT_EQ(folder.files(), 0u) << "no half file stays";
}

}  // namespace
}  // namespace hone::io

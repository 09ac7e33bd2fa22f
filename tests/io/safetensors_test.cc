// safetensors: what is written is read back, and every kind of bad file is refused with its reason.
#include "io/safetensors.h"

#include <gmock/gmock.h>

#include <cstring>

#include "io/temporary_folder.h"

namespace hone::io {
namespace {

using ::testing::HasSubstr;

std::string with_header(const std::string& header, size_t data = 0) {
  const uint64_t size = header.size();
  return std::string(reinterpret_cast<const char*>(&size), 8) + header + std::string(data, '\x11');
}

TEST(Safetensors, ReadsBackWhatWasWritten) {
  const TemporaryFolder folder;
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  const Tensor matrix = Tensor::from({2, 3}, std::span<const float>(values)), ids = Tensor::zeros({4}, DType::kI32);
  EXPECT_EQ(write_safetensors(folder.path() / "m.safetensors", {{"b", matrix}, {"a", ids}}, {{"format", "pt"}}).size(), 64u);
  const Safetensors file = Safetensors::open(folder.path() / "m.safetensors");
  EXPECT_EQ(file.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_EQ(file.tensor("b").shape(), (Shape{2, 3}));
  EXPECT_EQ(std::memcmp(file.tensor("b").raw(), matrix.raw(), matrix.bytes()), 0);
  EXPECT_EQ(file.tensor("a").dtype(), DType::kI32);
  EXPECT_FALSE(file.has("c"));
  EXPECT_THAT(refusal([&] { file.tensor("c"); }), HasSubstr("has no tensor \"c\""));
}

TEST(Safetensors, CopiesWhatLiesUnaligned) {
  const TemporaryFolder folder;
  const std::string header = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}})";
  const Safetensors file = Safetensors::open(folder.file("m.safetensors", with_header(header, 9)));
  const Tensor b = file.tensor("b");
  EXPECT_EQ(reinterpret_cast<uintptr_t>(b.raw()) % 4, 0u);
  EXPECT_EQ(std::memcmp(b.raw(), "\x11\x11\x11\x11\x11\x11\x11\x11", 8), 0);
  EXPECT_THAT(refusal([&] { file.tensor("a"); }), HasSubstr("tensor \"a\" holds U8"));
}

struct BadSafetensors {
  const char* name;
  std::string bytes;
  const char* reason;
};

const std::vector<BadSafetensors>& bad_safetensors() {
  static const std::string good = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  static const std::vector<BadSafetensors> all = {
      {"empty", "", "holds 0 bytes"},
      {"seven_bytes", "1234567", "holds 7 bytes"},
      {"header_beyond_the_file", std::string("\xff\0\0\0\0\0\0\0{}", 10), "announces a header of 255 bytes"},
      {"header_beyond_any_file", std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10), "announces a header"},
      {"no_json", with_header("{"), "is not JSON"},
      {"a_list", with_header("[]"), "not a JSON object"},
      {"nested_too_deep", with_header("{\"a\":" + std::string(300, '[') + std::string(300, ']') + "}"), "nested deeper"},
      {"metadata_no_object", with_header(R"({"__metadata__":3})"), "__metadata__"},
      {"name_twice", with_header("{" + good + "," + good + "}", 8), "\"a\" appears twice"},
      {"field_twice", with_header(R"({"a":{"dtype":"F32","dtype":"F16","shape":[2],"data_offsets":[0,8]}})", 8), "\"dtype\" appears twice"},
      {"no_dtype", with_header(R"({"a":{"shape":[2],"data_offsets":[0,8]}})", 8), "has no \"dtype\""},
      {"dtype_unknown", with_header(R"({"a":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}})", 8), "unknown dtype"},
      {"dtype_no_text", with_header(R"({"a":{"dtype":3,"shape":[2],"data_offsets":[0,8]}})", 8), "unknown dtype"},
      {"tensor_no_object", with_header(R"({"a":3})", 8), "has no \"dtype\""},
      {"shape_no_list", with_header(R"({"a":{"dtype":"F32","shape":2,"data_offsets":[0,8]}})", 8), "malformed shape"},
      {"shape_negative", with_header(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8), "impossible shape"},
      {"shape_overflows", with_header(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,2],"data_offsets":[0,8]}})", 8), "impossible shape"},
      {"shape_of_other_size", with_header(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8), "does not take 8 bytes"},
      {"offsets_reversed", with_header(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8), "lies at [8,0]"},
      {"offsets_beyond_the_file", with_header(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4), "outside the file's 4 data bytes"},
      {"offsets_fractional", with_header(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0.5,8]}})", 8), "lies at"},
      {"tensors_overlap", with_header("{" + good + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8), "overlap"},
      {"hole_between", with_header("{" + good + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}})", 16), "leave a hole"},
      {"bytes_left_over", with_header("{" + good + "}", 9), "belong to no tensor"},
  };
  return all;
}

class BadSafetensorsFile : public ::testing::TestWithParam<size_t> {};

TEST_P(BadSafetensorsFile, IsRefusedWithItsReason) {
  const TemporaryFolder folder;
  const BadSafetensors& bad = bad_safetensors()[GetParam()];
  const auto file = folder.file("bad.safetensors", bad.bytes);
  const std::string words = refusal([&] { Safetensors::open(file); });
  EXPECT_THAT(words, HasSubstr(bad.reason));
  EXPECT_THAT(words, HasSubstr(file.string()));
}

INSTANTIATE_TEST_SUITE_P(Catalogue, BadSafetensorsFile, ::testing::Range(size_t{0}, bad_safetensors().size()),
                         [](const auto& i) { return std::string(bad_safetensors()[i.param].name); });

TEST(SafetensorsWriter, RefusesMoreOrFewerBytesThanAnnounced) {
  const TemporaryFolder folder;
  const float values[3] = {};
  for (const size_t bytes : {size_t{8}, size_t{12}}) {
    SafetensorsWriter writer(folder.path() / "m.safetensors", {{"a", DType::kF32, {2}}}, {});
    writer.write(values, bytes);
    if (bytes == 8) {
      EXPECT_NO_THROW(writer.finish());
    } else {
      EXPECT_THROW(writer.finish(), Error);
    }
  }
}

}  // namespace
}  // namespace hone::io

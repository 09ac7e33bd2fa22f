// A temporary folder with small models, for tests of what loads them.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/error.h"

namespace hone::serve {

class ModelFolder {
 public:
  ModelFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "hone-serve-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~ModelFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

  /// A llama with two layers and 512 positions; `times` as wide as 64.
  std::filesystem::path model(const std::string& name, int times = 1) const {
    const auto file = path_ / name;
    const std::string command = fmt::format("'{}' '{}' f32 llama {}", HONE_TINY_MODEL, file.string(), times);
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    return file;
  }

 private:
  std::filesystem::path path_;
};

/// The code of the error that `step` throws.
template <class Step>
ErrorCode code_of(const Step& step) {
  try {
    step();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error was thrown";
  return ErrorCode::kInternal;
}

}  // namespace hone::serve

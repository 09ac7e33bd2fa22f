// Whole files as text.
#pragma once

#include <filesystem>
#include <string>

namespace hone {

/// Reads a file of at most `limit` bytes; throws Error{kNotFound}, Error{kIo} or Error{kInvalidInput} (a folder, or too large).
std::string read_file(const std::filesystem::path& path, size_t limit = size_t{1} << 30);

}  // namespace hone

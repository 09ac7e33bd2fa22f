// Whole files as text.
#pragma once

#include <filesystem>
#include <string>

namespace hone {

/// A descriptor for reading, which the caller closes. Throws Error{kNotFound}, Error{kIo}, or Error{kInvalidInput} for anything but
/// a regular file: a folder, a named pipe (whose writer it does not wait for), a device.
int open_regular(const std::filesystem::path& path);

/// Reads a file of at most `limit` bytes; throws Error{kNotFound}, Error{kIo} or Error{kInvalidInput} (not a regular file, or too large).
std::string read_file(const std::filesystem::path& path, size_t limit = size_t{1} << 30);

}  // namespace hone

// What the system says about space, and what to tell a person when it refuses a write.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace hone {

/// Bytes this user may still write where `path` lies (or would lie); nullopt when the system does not say.
std::optional<uint64_t> free_bytes(const std::filesystem::path& path);

/// "812 bytes", "4.2 MiB", "1.5 GiB".
std::string byte_size(uint64_t bytes);

/// Error{kIo} (kNotFound for a missing folder) for a write that the system refused with errno `reason`: what was tried, how
/// much it needed (0: unknown), how much is free, and the remedy.
Error write_error(const std::filesystem::path& path, std::string_view tried, int reason, uint64_t needed = 0);

/// Writes all of `bytes` to an open file, in as many pieces as the system takes them; `path` and what was `tried` name it in write_error. A disk that fills up
/// may have taken a part.
void write_all(int file, std::string_view bytes, const std::filesystem::path& path, std::string_view tried = "write");

}  // namespace hone

// Digests as registries write them: "sha256:" and 64 hexadecimal digits.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace hone::store {

/// Hashes bytes as they come.
class Hasher {
 public:
  enum class Algorithm { kSha256, kSha1 };
  explicit Hasher(Algorithm algorithm = Algorithm::kSha256);
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  void add(const void* data, size_t bytes);
  void add(std::string_view text) { add(text.data(), text.size()); }
  /// The hash in lower-case hexadecimal; ends the object's use.
  std::string hex();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// "sha256:…" of the text.
std::string digest_of(std::string_view text);
/// Whether the text is "sha256:" and 64 lower-case hexadecimal digits.
bool is_digest(std::string_view text);
/// "sha256-…", the file name of a digest's blob. Throws Error{kInvalidInput} for anything that is not a digest.
std::string blob_file(std::string_view digest);

}  // namespace hone::store

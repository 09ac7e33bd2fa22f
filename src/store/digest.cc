#include "store/digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "base/error.h"

namespace hone::store {

struct Hasher::Impl {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
};

Hasher::Hasher(Algorithm algorithm) : impl_(std::make_unique<Impl>()) {
  EVP_DigestInit_ex(impl_->context.get(), algorithm == Algorithm::kSha256 ? EVP_sha256() : EVP_sha1(), nullptr);
}
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;

void Hasher::add(const void* data, size_t bytes) { EVP_DigestUpdate(impl_->context.get(), data, bytes); }

std::string Hasher::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  EVP_DigestFinal_ex(impl_->context.get(), digest.data(), &size);
  std::string text;
  for (unsigned int i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

std::string digest_of(std::string_view text) {
  Hasher hasher;
  hasher.add(text);
  return "sha256:" + hasher.hex();
}

bool is_digest(std::string_view text) {
  if (!text.starts_with("sha256:") || text.size() != 7 + 64) return false;
  return std::all_of(text.begin() + 7, text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string blob_file(std::string_view digest) {
  if (!is_digest(digest))
    throw Error(ErrorCode::kInvalidInput, std::string(digest.substr(0, 80)), "is not a digest: expected sha256: and 64 hexadecimal digits", "the manifest is damaged: pull the model again");
  return "sha256-" + std::string(digest.substr(7));
}

}  // namespace hone::store

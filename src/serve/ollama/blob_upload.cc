#include "serve/ollama/blob_upload.h"

#include "serve/api/errors.h"
#include "store/digest.h"

namespace hone::serve::ollama {

BlobUpload::BlobUpload(std::string digest, uint64_t announced, uint64_t limit, std::shared_ptr<std::atomic<int>> open)
    : digest_(std::move(digest)), announced_(announced), limit_(limit), open_(std::move(open)) {
  if (++*open_ > kMaxUploads) failure_ = Error(ErrorCode::kBusy, "store", fmt::format("{} files are being sent already", kMaxUploads), "try again later");
  if (!store::is_digest(digest_)) failure_ = Error(ErrorCode::kInvalidInput, "digest", "expected sha256: and 64 hexadecimal digits");
}

BlobUpload::~BlobUpload() { --*open_; }

void BlobUpload::begin() {
  store::Library library;
  store::WriteLease lease = library.own().lease();
  const auto place = library.own().place_for(lease, {std::string(store::media::kModel), digest_, announced_});
  io::AtomicFile out(place.parent_path() / "sent");
  out.expect(announced_);
  file_ = std::make_unique<File>(File{std::move(library), std::move(lease), std::move(out)});
}

bool BlobUpload::write(std::string_view piece) {
  if (failure_) return false;
  try {
    if (!file_) begin();
    file_->out.write(piece);
    return true;
  } catch (...) {
    failure_ = current_error();
    file_.reset();
    return false;
  }
}

void BlobUpload::finish() {
  if (failure_) throw *failure_;
  if (!file_) begin();
  const auto file = std::move(file_);
  file->out.finish([&](const std::string& sha256) {
    if ("sha256:" + sha256 != digest_) throw Error(ErrorCode::kInvalidInput, "digest", fmt::format("the {} bytes that came have another digest: sha256:{}", file->out.bytes(), sha256), "send the file unchanged");
    return file->library.own().blob_path(digest_);
  });
}

}  // namespace hone::serve::ollama

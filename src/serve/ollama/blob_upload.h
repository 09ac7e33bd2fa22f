// A file that a client sends for a model: on its way to disk and hashed while it arrives, never whole in memory.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "io/atomic_file.h"
#include "serve/http/message.h"
#include "store/library.h"

namespace hone::serve::ollama {

/// Becomes a blob of hone's own store when finish() is called; dropped before, it leaves nothing behind.
class BlobUpload : public http::BodySink {
 public:
  /// `announced`: bytes that the header promises, 0 when it does not say; room for them is set aside on disk. `limit`: most bytes that
  /// are taken. `open`: counts the uploads that go on; beyond kMaxUploads the next one fails.
  BlobUpload(std::string digest, uint64_t announced, uint64_t limit, std::shared_ptr<std::atomic<int>> open);
  ~BlobUpload() override;
  static constexpr int kMaxUploads = 8;

  uint64_t limit() const override { return limit_; }
  bool write(std::string_view piece) override;

  /// Why it cannot be finished, when that is known already.
  const std::optional<Error>& failure() const { return failure_; }
  /// Gives the file its place. Throws failure(), Error{kInvalidInput} when the bytes have another digest, Error{kIo}.
  void finish();

 private:
  void begin();

  // The lease keeps others from tidying the store while the file is there under a name of its own.
  struct File {
    store::Library library;
    store::WriteLease lease;
    io::AtomicFile out;
  };
  const std::string digest_;
  const uint64_t announced_, limit_;
  const std::shared_ptr<std::atomic<int>> open_;
  std::unique_ptr<File> file_;
  std::optional<Error> failure_;
};

}  // namespace hone::serve::ollama

// Large files from the web: several ranges at once, going on after a cut, checked before they get their name.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "store/digest.h"
#include "store/http_client.h"
#include "store/model_store.h"

namespace hone::store {

struct Download {
  std::string url;
  std::function<std::string(bool renew)> authorization;  // may be empty; renew: the last one was refused
  uint64_t size = 0;                                     // bytes, known in advance
  Hasher::Algorithm algorithm = Hasher::Algorithm::kSha256;
  std::string prefix;    // hashed before the content (git's "blob 123\0")
  std::string hash;      // expected, in hexadecimal
  std::string status, digest;  // for progress
  bool insecure = false;
};

/// Fetches into `file`. What came so far is kept in FILE-partial, and which parts of it in FILE-partial.json; a later call, also
/// of another process, goes on there. Two processes do not fetch the same file: the second waits for the first. The hash is
/// checked before the file gets its name. Throws Error{kInvalidInput} when it differs (nothing is kept then), TransientError
/// when the network fails for good, Error{kIo} on a full disk, Error{kInterrupted}.
void download(const Download& what, const std::filesystem::path& file, const Watch& watch);

/// Calls `work` again after failures that may pass, with growing pauses; the last failure is thrown on.
void with_retries(const Watch& watch, FunctionRef<void()> work);

/// Error for an answer that is not what was asked for, by its status: kNotFound for 404, a matter of credentials for 401 and
/// 403; TransientError is thrown, not returned, for 429 and 5xx.
Error refusal(const HttpResponse& response, const std::string& what);

}  // namespace hone::store

#include "store/download.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <thread>

#include "base/disk.h"
#include "base/json_file.h"
#include "io/atomic_file.h"

namespace hone::store {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kSmallestPart = uint64_t{1} << 20, kLargestPart = uint64_t{64} << 20;
constexpr size_t kConnections = 4;
constexpr int kTries = 6;

// Waits, asking often whether to stop.
void pause(std::chrono::milliseconds time, const std::function<void()>& check) {
  const auto end = Clock::now() + time;
  while (Clock::now() < end) {
    check();
    std::this_thread::sleep_for(std::min<Clock::duration>(std::chrono::milliseconds(50), end - Clock::now()));
  }
}

std::chrono::milliseconds pause_before(int attempt) { return std::chrono::milliseconds(250 << std::min(attempt, 5)); }

struct Part {
  uint64_t offset = 0, size = 0, completed = 0;
  bool taken = false;
};

// A server that answers a range with the whole file.
struct NoRanges {};

class Fetch {
 public:
  Fetch(const Download& what, const fs::path& file, const Watch& watch) : what_(what), file_(file), partial_(with(file, "-partial")), journal_(with(file, "-partial.json")), watch_(watch) {}
  ~Fetch() {
    if (fd_ >= 0) ::close(fd_);
  }
  Fetch(const Fetch&) = delete;
  Fetch& operator=(const Fetch&) = delete;

  void run() {
    if (!lock()) return;  // another process has fetched it
    const bool resumed = read_journal();
    try {
      fetch_parts();
      if (verify()) return publish();
      // A power cut may have lost bytes that the journal counts: once more from the start.
      if (resumed) {
        start_over(split());
        fetch_parts();
        if (verify()) return publish();
      }
    } catch (const Error&) {
      save_journal_quietly();
      throw;
    }
    discard();
    throw Error(ErrorCode::kInvalidInput, what_.url, fmt::format("the file that came does not have the hash {}", what_.hash), "what came was deleted: try again, and do not trust this server if it happens again");
  }

 private:
  static fs::path with(fs::path path, const char* ending) { return path += ending; }

  bool finished() const {
    std::error_code error;
    return fs::is_regular_file(file_, error) && fs::file_size(file_, error) == what_.size;
  }

  // The partial file, locked; false when the file is there already.
  bool lock() {
    for (;;) {
      if (finished()) return false;
      fd_ = ::open(partial_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
      if (fd_ < 0) throw write_error(partial_, "create the file", errno);
      while (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) throw write_error(partial_, "lock the file", errno);
        watch_.report({what_.status + " (another hone fetches it)", what_.digest, 0, what_.size});
        pause(std::chrono::milliseconds(200), [&] { watch_.check(); });
      }
      // The holder may have renamed or deleted it while we waited.
      struct stat ours {}, there {};
      if (::fstat(fd_, &ours) == 0 && ::stat(partial_.c_str(), &there) == 0 && ours.st_ino == there.st_ino && !finished()) return true;
      ::close(std::exchange(fd_, -1));
    }
  }

  std::vector<Part> split() const {
    const uint64_t size = std::clamp(what_.size / 16, kSmallestPart, kLargestPart);
    std::vector<Part> parts;
    for (uint64_t at = 0; at < what_.size; at += size) parts.push_back({at, std::min(size, what_.size - at)});
    return parts;
  }

  // What an earlier process left, when it fits this file in every number; else everything from the start.
  bool read_journal() {
    try {
      const nlohmann::json json = read_json(journal_, size_t{4} << 20);
      std::vector<Part> parts;
      uint64_t at = 0;
      struct stat info {};
      bool good = json.at("size").get<uint64_t>() == what_.size && json.at("hash").get<std::string>() == what_.hash && ::fstat(fd_, &info) == 0;
      for (const auto& entry : json.at("parts")) {
        const Part part{at, entry.at(0).get<uint64_t>(), entry.at(1).get<uint64_t>()};
        good = good && part.size > 0 && part.size <= what_.size - at && part.completed <= part.size;
        if (!good) break;
        good = part.completed == 0 || part.offset + part.completed <= static_cast<uint64_t>(info.st_size);
        parts.push_back(part);
        at += part.size;
      }
      if (good && at == what_.size) {
        parts_ = std::move(parts);
        for (const Part& part : parts_) done_ += part.completed;
        return done_ > 0;
      }
    } catch (const Error&) {  // there is none, or it is damaged
    } catch (const nlohmann::json::exception&) {
    }
    start_over(split());
    return false;
  }

  void start_over(std::vector<Part> parts) {
    parts_ = std::move(parts);
    done_ = 0;
    std::error_code ignored;
    fs::remove(journal_, ignored);
    if (::ftruncate(fd_, 0) != 0) throw write_error(partial_, "empty the file", errno);
  }

  void save_journal() {
    nlohmann::ordered_json parts = nlohmann::ordered_json::array();
    for (const Part& part : parts_) parts.push_back({part.size, part.completed});
    if (::fdatasync(fd_) != 0) throw write_error(partial_, "bring the file to disk", errno, what_.size);
    io::write_file(journal_, nlohmann::ordered_json{{"size", what_.size}, {"hash", what_.hash}, {"parts", parts}}.dump());
    saved_ = Clock::now();
  }

  void save_journal_quietly() noexcept {
    try {
      if (done_ == 0) discard();
      else save_journal();
    } catch (...) {  // the first failure is the one to tell
    }
  }

  void discard() {
    std::error_code ignored;
    fs::remove(partial_, ignored);
    fs::remove(journal_, ignored);
  }

  void reserve() {
    int reason = 0;
    do {
      reason = what_.size == 0 || ::fallocate(fd_, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(what_.size)) == 0 ? 0 : errno;
    } while (reason == EINTR);
    if (reason == ENOSPC || reason == EDQUOT || reason == EFBIG) throw write_error(file_, "write", reason, what_.size);
  }

  void fetch_parts() {
    reserve();
    try {
      work_together();
    } catch (const NoRanges&) {
      start_over({{0, what_.size}});
      whole_ = true;
      work_together();
    }
  }

  // Takes parts until none is left; the first failure of any worker stops them all.
  void work_together() {
    stop_ = false;
    failure_ = nullptr;
    watch_.report({what_.status, what_.digest, done_, what_.size});
    for (Part& part : parts_) part.taken = false;
    std::vector<std::thread> workers;
    const size_t count = std::min(kConnections, parts_.size());
    for (size_t i = 1; i < count; ++i) workers.emplace_back([this] { work(); });
    work();
    for (std::thread& worker : workers) worker.join();
    if (failure_) std::rethrow_exception(failure_);
  }

  void work() noexcept {
    try {
      HttpClient client({.insecure = what_.insecure, .interrupted = [this] { return stop_.load() || (watch_.interrupted && watch_.interrupted()); }});
      while (Part* part = next()) fetch(client, *part);
    } catch (...) {
      const std::lock_guard hold(mutex_);
      if (!failure_) failure_ = std::current_exception();
      stop_ = true;
    }
  }

  Part* next() {
    const std::lock_guard hold(mutex_);
    if (stop_) return nullptr;
    for (Part& part : parts_)
      if (!part.taken && part.completed < part.size) {
        part.taken = true;
        return &part;
      }
    return nullptr;
  }

  void check() const {
    watch_.check();
    if (stop_) throw Error(ErrorCode::kInterrupted, "network", "stopped", "");
  }

  void fetch(HttpClient& client, Part& part) {
    for (int tries = 0; part.completed < part.size;) {
      const uint64_t before = part.completed;
      try {
        request(client, part);
      } catch (const TransientError&) {
        tries = part.completed > before ? 0 : tries + 1;
        if (tries >= kTries) throw;
        pause(pause_before(tries), [&] { check(); });
      }
      if (whole_ && part.completed < part.size) take_back(part);
    }
  }

  // Without ranges, every try begins at the start.
  void take_back(Part& part) {
    const std::lock_guard hold(mutex_);
    done_ -= part.completed;
    part.completed = 0;
  }

  void request(HttpClient& client, Part& part) {
    for (const bool renew : {false, true}) {
      HttpRequest get{.url = what_.url};
      const uint64_t from = part.offset + part.completed, to = part.offset + part.size - 1;
      if (!whole_) get.headers.emplace_back("Range", fmt::format("bytes={}-{}", from, to));
      if (what_.authorization) {
        const std::lock_guard hold(authorization_mutex_);
        get.authorization = what_.authorization(renew);
      }
      const HttpResponse response = client.send(get, [&](const HttpResponse& head, const char* data, size_t bytes) {
        if (part.completed + part.offset == from) expect_range(head, from, to);
        take(part, data, bytes);
      });
      if (response.status == 200 || response.status == 206) {
        if (part.completed < part.size) throw TransientError(ErrorCode::kIo, response.url.origin(), "the answer ended early", "try again");
        return;
      }
      if (response.status == 401 && !renew && what_.authorization) continue;
      // A signed address of a storage host that ran out: the next try gets a new one.
      if (response.status == 403 && !response.url.same_origin(parse_url(what_.url))) throw TransientError(ErrorCode::kIo, response.url.origin(), describe(response), "try again");
      throw refusal(response, what_.url);
    }
  }

  void expect_range(const HttpResponse& head, uint64_t from, uint64_t to) const {
    if (head.status == 200 && (whole_ || (from == 0 && to + 1 == what_.size))) return;
    if (head.status == 200) throw NoRanges{};
    const std::string found = head.header("content-range").value_or("nothing"), wanted = fmt::format("bytes {}-{}/{}", from, to, what_.size);
    if (found != wanted) throw Error(ErrorCode::kInvalidInput, head.url.origin(), fmt::format("sent another range than was asked for: expected {}, found {}", wanted, found.substr(0, 80)), "the file on the server may have changed: pull again");
  }

  void take(Part& part, const char* data, size_t bytes) {
    if (bytes > part.size - part.completed) throw Error(ErrorCode::kInvalidInput, what_.url, "sent more bytes than were asked for", "the file on the server may have changed: pull again");
    for (uint64_t at = part.offset + part.completed, left = bytes; left > 0;) {
      const ssize_t written = ::pwrite(fd_, data, left, static_cast<off_t>(at));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) throw write_error(file_, "write", errno, what_.size);
      data += written;
      at += static_cast<uint64_t>(written);
      left -= static_cast<uint64_t>(written);
    }
    const std::lock_guard hold(mutex_);
    part.completed += bytes;
    done_ += bytes;
    watch_.report({what_.status, what_.digest, done_, what_.size});
    if (Clock::now() - saved_ > std::chrono::seconds(2)) save_journal();
  }

  bool verify() {
    watch_.report({"verifying " + what_.status.substr(what_.status.find(' ') + 1), what_.digest, 0, 0});
    Hasher hasher(what_.algorithm);
    hasher.add(what_.prefix);
    std::vector<char> buffer(size_t{1} << 20);
    for (uint64_t at = 0; at < what_.size;) {
      watch_.check();
      const ssize_t n = ::pread(fd_, buffer.data(), buffer.size(), static_cast<off_t>(at));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw write_error(partial_, "read", errno);
      if (n == 0) return false;
      hasher.add(buffer.data(), static_cast<size_t>(n));
      at += static_cast<uint64_t>(n);
    }
    return hasher.hex() == what_.hash;
  }

  void publish() {
    if (::ftruncate(fd_, static_cast<off_t>(what_.size)) != 0 || ::fsync(fd_) != 0) throw write_error(partial_, "bring the file to disk", errno, what_.size);
    if (::rename(partial_.c_str(), file_.c_str()) != 0) throw write_error(file_, "move the finished file into place", errno);
    std::error_code ignored;
    fs::remove(journal_, ignored);
    io::sync_folder(file_.parent_path());
  }

  const Download& what_;
  const fs::path file_, partial_, journal_;
  const Watch& watch_;
  int fd_ = -1;
  std::vector<Part> parts_;
  uint64_t done_ = 0;   // of all parts
  bool whole_ = false;  // the server knows no ranges
  std::mutex mutex_, authorization_mutex_;
  std::atomic<bool> stop_{false};
  std::exception_ptr failure_;
  Clock::time_point saved_ = Clock::now();
};

}  // namespace

void download(const Download& what, const fs::path& file, const Watch& watch) { Fetch(what, file, watch).run(); }

void with_retries(const Watch& watch, FunctionRef<void()> work) {
  for (int tries = 0;; ++tries) {
    try {
      return work();
    } catch (const TransientError&) {
      if (tries + 1 >= kTries) throw;
      pause(pause_before(tries), [&] { watch.check(); });
    }
  }
}

Error refusal(const HttpResponse& response, const std::string& what) {
  const std::string words = describe(response);
  if (response.status == 429 || response.status >= 500) throw TransientError(ErrorCode::kIo, what, words, "the server is busy or broken: try again later");
  if (response.status == 404) return Error(ErrorCode::kNotFound, what, words, "check the name: the server does not have it");
  if (response.status == 401 || response.status == 403)
    return Error(ErrorCode::kInvalidInput, what, words, "it may need credentials: docker login for registries, HF_TOKEN for the hub; a model of the hub may also want its terms accepted");
  return Error(ErrorCode::kIo, what, words, "the server did not do what was asked");
}

}  // namespace hone::store

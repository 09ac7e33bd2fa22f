#include "store/model_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <set>
#include <utility>

#include "base/disk.h"
#include "base/error.h"
#include "base/file.h"
#include "io/atomic_file.h"
#include "store/digest.h"

namespace hone::store {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxManifest = size_t{8} << 20;
constexpr const char* kLockFile = ".hone-lock";

int open_lock(const fs::path& root, int how) {
  const fs::path path = root / kLockFile;
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) throw write_error(path, "open the lock", errno);
  while (::flock(fd, how) != 0) {
    if (errno == EINTR) continue;
    const int reason = errno;
    ::close(fd);
    if (reason == EWOULDBLOCK) return -1;
    throw write_error(path, "lock the store", reason);
  }
  return fd;
}

// Unlike exists(), false for what cannot be looked at.
bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

// The name whose manifest lies at HOST/NAMESPACE/MODEL/TAG; nothing for other paths.
std::optional<ModelName> name_at(const fs::path& relative) {
  if (std::distance(relative.begin(), relative.end()) != 4) return std::nullopt;
  auto part = relative.begin();
  const std::string host = *part++, space = *part++, model = *part++, tag = *part;
  auto name = try_name(host + "/" + space + "/" + model + ":" + tag);
  if (name && name->path() != relative) name.reset();
  return name;
}

std::string hint_to_pull(const ModelName& name) { return fmt::format("hone pull {} fetches it, hone list shows what is there", name.shortest()); }

}  // namespace

void Watch::check() const {
  if (interrupted && interrupted()) throw Error(ErrorCode::kInterrupted, "store", "interrupted", "run the command again: it goes on where it stopped");
}

void Pruned::tell(std::vector<std::string>& notes) const {
  if (damaged) notes.push_back("files that are no longer needed stay: " + skipped);
}

WriteLease::WriteLease(WriteLease&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
WriteLease::~WriteLease() {
  if (fd_ >= 0) ::close(fd_);
}

fs::path ModelStore::default_root() {
  if (const char* root = std::getenv("HONE_MODELS"); root && *root) return root;
  const char* home = std::getenv("HOME");
  return fs::path(home && *home ? home : ".") / ".hone" / "models";
}

ModelStore::ModelStore(fs::path root, bool read_only) : root_(std::move(root)), read_only_(read_only) {}

void ModelStore::must_write() const {
  if (read_only_)
    throw Error(ErrorCode::kUnsupported, root_.string(), "this store is only read ($OLLAMA_MODELS)", "hone cp gives a model a name in hone's own store, which can be changed");
}

// Makes a folder below the root. The folders manifests and blobs may be links that their owner made; below them none is followed,
// so that nothing is written elsewhere.
fs::path ModelStore::folder_inside(const fs::path& relative) const {
  fs::path folder = root_ / *relative.begin();
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw write_error(folder, "create the folder", error.value());
  for (auto part = std::next(relative.begin()); part != relative.end(); ++part) {
    folder /= *part;
    if (fs::is_symlink(folder, error)) throw Error(ErrorCode::kInvalidInput, folder.string(), "a link leads out of the store", "remove the link: hone writes inside the store only");
    if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) throw write_error(folder, "create the folder", errno);
  }
  return folder;
}

fs::path ModelStore::manifest_path(const ModelName& name) const { return root_ / "manifests" / name.path(); }
fs::path ModelStore::blob_path(std::string_view digest) const { return root_ / "blobs" / blob_file(digest); }
bool ModelStore::has(const ModelName& name) const { return is_file(manifest_path(name)); }

std::vector<ModelName> ModelStore::names() const {
  std::vector<ModelName> found;
  const fs::path top = root_ / "manifests";
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(top, fs::directory_options::skip_permission_denied, error); !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    if (it.depth() > 3) it.disable_recursion_pending();
    if (it.depth() != 3 || !is_file(it->path())) continue;
    if (const auto name = name_at(it->path().lexically_relative(top))) found.push_back(*name);
  }
  std::sort(found.begin(), found.end());
  return found;
}

Manifest ModelStore::manifest(const ModelName& name) const {
  const fs::path path = manifest_path(name);
  if (!is_file(path)) throw Error(ErrorCode::kNotFound, name.shortest(), fmt::format("there is no such model in {}", root_.string()), hint_to_pull(name));
  return parse_manifest(read_file(path, kMaxManifest), path.string());
}

bool ModelStore::has_blob(const Layer& layer) const {
  std::error_code error;
  const fs::path path = blob_path(layer.digest);
  return fs::is_regular_file(path, error) && fs::file_size(path, error) == layer.size && !error;
}

std::string ModelStore::read_blob(const Layer& layer, size_t limit) const {
  if (!has_blob(layer))
    throw Error(ErrorCode::kInvalidInput, blob_path(layer.digest).string(), fmt::format("a part of the model ({}) is missing or cut off", layer.media_type), "pull or create the model again");
  return read_file(blob_path(layer.digest), limit);
}

WriteLease ModelStore::lease() {
  must_write();
  folder_inside("blobs");
  folder_inside("manifests");
  return WriteLease(open_lock(root_, LOCK_SH));
}

Layer ModelStore::add(const WriteLease&, std::string_view media_type, std::string_view content) {
  must_write();
  const Layer layer{std::string(media_type), digest_of(content), content.size()};
  if (!has_blob(layer)) io::write_file(folder_inside("blobs") / blob_file(layer.digest), content);
  return layer;
}

Layer ModelStore::add_file(const WriteLease&, std::string_view media_type, const fs::path& file, const Watch& watch) {
  must_write();
  std::error_code error;
  ::close(open_regular(file));  // refuses pipes, which would be waited for
  const uint64_t size = fs::file_size(file, error);
  std::ifstream in(file, std::ios::binary);
  if (error || !in) throw Error(ErrorCode::kNotFound, file.string(), "cannot be read", "name a file that exists and may be read");
  const fs::path blobs = folder_inside("blobs");
  io::AtomicFile out(blobs / "incoming");
  out.expect(size);
  std::vector<char> buffer(size_t{4} << 20);
  while (in) {
    watch.check();
    in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    out.write(buffer.data(), static_cast<size_t>(in.gcount()));
    watch.report({fmt::format("copying {}", file.filename().string()), {}, out.bytes(), size});
  }
  if (in.bad() || out.bytes() != size) throw Error(ErrorCode::kIo, file.string(), "changed or failed while it was read", "try again once nothing else writes it");
  const std::string sha256 = out.finish([&](const std::string& hex) { return blobs / ("sha256-" + hex); });
  return {std::string(media_type), "sha256:" + sha256, size};
}

fs::path ModelStore::place_for(const WriteLease&, const Layer& layer) {
  must_write();
  return folder_inside("blobs") / blob_file(layer.digest);
}

fs::path ModelStore::scratch(const WriteLease&) {
  must_write();
  static std::atomic<uint64_t> count{0};
  return folder_inside("blobs") / fmt::format("made.partial-{}-{}", ::getpid(), ++count);
}

Layer ModelStore::take(const WriteLease&, std::string_view media_type, const fs::path& file) {
  must_write();
  const Layer layer{std::string(media_type), "sha256:" + io::sha256_of_file(file), fs::file_size(file)};
  if (::rename(file.c_str(), blob_path(layer.digest).c_str()) != 0) throw write_error(file, "move the finished file into place", errno);
  io::sync_folder(file.parent_path());
  return layer;
}

void ModelStore::adopt(const WriteLease& lease, const ModelStore& from, const Layer& layer, const Watch& watch) {
  must_write();
  if (has_blob(layer)) return;
  if (!from.has_blob(layer)) throw Error(ErrorCode::kInvalidInput, from.blob_path(layer.digest).string(), "a part of the model is missing or cut off", "pull the model again");
  const fs::path to = folder_inside("blobs") / blob_file(layer.digest);
  if (::link(from.blob_path(layer.digest).c_str(), to.c_str()) == 0) return io::sync_folder(to.parent_path());
  const Layer copied = add_file(lease, layer.media_type, from.blob_path(layer.digest), watch);
  if (copied.digest != layer.digest)
    throw Error(ErrorCode::kInvalidInput, from.blob_path(layer.digest).string(), "does not hold what its name says: the file is damaged", "pull the model again");
}

void ModelStore::put(const WriteLease&, const ModelName& name, std::string_view bytes) {
  must_write();
  const Manifest manifest = parse_manifest(bytes, name.full());
  for (const Layer& layer : manifest.blobs()) HONE_CHECK(has_blob(layer), "{}: {} is not in the store", name.full(), layer.digest);
  io::write_file(folder_inside(fs::path("manifests") / name.path().parent_path()) / name.tag, bytes);
}

void ModelStore::remove(const ModelName& name) {
  must_write();
  if (!has(name)) manifest(name);
  const WriteLease held = lease();
  const fs::path folder = folder_inside(fs::path("manifests") / name.path().parent_path());
  if (::unlink((folder / name.tag).c_str()) != 0 && errno != ENOENT) throw write_error(folder / name.tag, "remove the file", errno);
  io::sync_folder(folder);
}

// File names of the blobs that some manifest names. Throws Error for a manifest that cannot be read: what it named is unknown,
// and the weights of a model that was made here may be nowhere else. So it says what to do about the file.
std::set<std::string> ModelStore::used_blobs() const {
  std::set<std::string> used;
  const fs::path top = root_ / "manifests";
  for (const auto& entry : fs::recursive_directory_iterator(top)) {
    if (!is_file(entry.path())) continue;
    const auto name = name_at(entry.path().lexically_relative(top));
    try {
      const std::string text = read_file(entry.path(), kMaxManifest);
      // What is no JSON at all, such as a file browser's notes, keeps no blob; a damaged manifest of a model must not lose any.
      if (!name && !nlohmann::json::accept(text)) continue;
      for (const Layer& layer : parse_manifest(text, entry.path().string()).blobs()) used.insert(blob_file(layer.digest));
    } catch (const Error& error) {
      const std::string remedy = name ? fmt::format("hone rm {} takes the damaged model away, hone pull or hone create make it anew", name->shortest())
                                      : fmt::format("move {} out of the store", entry.path().string());
      throw Error(error.code(), error.where(), error.message(), remedy);
    }
  }
  return used;
}

// Temporary files of killed processes, and empty folders. Only under the exclusive lock: otherwise a file might be just being
// written, and a folder the one that a new name is about to go into.
void ModelStore::sweep_manifests(Pruned& result) const {
  std::vector<fs::path> folders, left_over;
  for (const auto& entry : fs::recursive_directory_iterator(root_ / "manifests")) {
    if (entry.is_symlink()) continue;
    if (entry.is_directory()) folders.push_back(entry.path());
    else if (entry.is_regular_file() && io::is_temporary(entry.path().filename().string())) left_over.push_back(entry.path());
  }
  for (const fs::path& file : left_over) {
    std::error_code error;
    const uint64_t size = fs::file_size(file, error);
    if (::unlink(file.c_str()) != 0) throw write_error(file, "remove the file", errno);
    ++result.files;
    if (!error) result.bytes += size;
  }
  for (auto it = folders.rbegin(); it != folders.rend(); ++it) ::rmdir(it->c_str());  // refuses what is not empty
}

Pruned ModelStore::prune() {
  must_write();
  Pruned result;
  std::error_code error;
  if (!fs::is_directory(root_ / "blobs", error)) return result;
  folder_inside("manifests");
  folder_inside("blobs");
  const int lock = open_lock(root_, LOCK_EX | LOCK_NB);
  if (lock < 0) {
    result.skipped = "another hone is adding a model";
    return result;
  }
  const WriteLease held(lock);
  sweep_manifests(result);
  std::set<std::string> used;
  try {
    used = used_blobs();
  } catch (const Error& damaged) {
    result.skipped = fmt::format("{}: {}; {}", damaged.where(), damaged.message(), damaged.hint());
    result.damaged = true;
    return result;
  }
  const auto old = fs::file_time_type::clock::now() - std::chrono::hours(24 * 7);
  for (const auto& entry : fs::directory_iterator(root_ / "blobs")) {
    const std::string file = entry.path().filename().string();
    if (used.contains(file)) continue;
    // Of a killed process that was writing; of a download that nobody went on with; a blob without a model.
    const bool left_over = file.find(".partial-") != std::string::npos;
    const bool given_up = file.starts_with("sha256-") && file.find("-unfinished") == 7 + 64 && entry.last_write_time(error) < old;
    const bool unused = file.starts_with("sha256-") && file.size() == 7 + 64;
    if (!left_over && !given_up && !unused) continue;
    const uint64_t size = entry.file_size(error);
    if (::unlink(entry.path().c_str()) != 0) throw write_error(entry.path(), "remove the file", errno);
    ++result.files;
    if (!error) result.bytes += size;
  }
  return result;
}

}  // namespace hone::store

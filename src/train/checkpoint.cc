#include "train/checkpoint.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>

#include "base/disk.h"
#include "base/json_file.h"
#include "io/atomic_file.h"
#include "io/safetensors.h"

namespace hone::train {
namespace {

namespace fs = std::filesystem;

constexpr int kFormat = 1;  // of state.json
constexpr const char *kWeights = "weights.safetensors", *kOptimizer = "optimizer.safetensors", *kState = "state.json",
                     *kManifest = "manifest.json";

[[noreturn]] void refused(const fs::path& path, const std::string& what, const std::error_code& error) {
  throw write_error(path, what, error.value());
}

nlohmann::json to_json(const TrainState& s) {
  return {{"format", kFormat},
          {"step", s.step},
          {"tokens", s.tokens},
          {"supervised", s.supervised},
          {"seconds", s.seconds},
          {"smoothed_loss", s.smoothed_loss},
          {"best_loss", s.best_loss},
          {"has_best", s.has_best},
          {"best_step", s.best_step},
          {"since_best", s.since_best},
          {"skipped", s.skipped},
          {"skipped_in_row", s.skipped_in_row},
          {"rollbacks", s.rollbacks},
          {"validation_due", s.validation_due},
          {"validated_step", s.validated_step},
          {"rate_factor", s.rate_factor},
          {"loader", {{"epoch", s.loader.epoch}, {"position", s.loader.position}, {"row", s.loader.row}, {"fingerprint", s.loader.fingerprint}}}};
}

// Fields by name, with errors that name the file.
class Fields {
 public:
  Fields(const nlohmann::json& json, std::string where) : json_(json), where_(std::move(where)) {
    if (!json.is_object()) bad("is not a JSON object");
  }
  template <class T>
  void read(const char* key, T& value) const {
    const auto it = json_.find(key);
    const bool good = it != json_.end() && (std::is_same_v<T, bool> ? it->is_boolean()
                                            : std::is_floating_point_v<T> ? it->is_number()
                                            : std::is_signed_v<T> ? it->is_number_integer() && it->template get<int64_t>() >= 0
                                                                  : it->is_number_unsigned());
    if (!good) bad(fmt::format("{} is missing or malformed", key));
    value = it->get<T>();
  }
  const nlohmann::json& object(const char* key) const {
    if (!json_.contains(key)) bad(fmt::format("{} is missing", key));
    return json_[key];
  }

 private:
  [[noreturn]] void bad(const std::string& what) const {
    throw Error(ErrorCode::kInvalidInput, where_, what, "remove this checkpoint's folder to continue from an older one");
  }
  const nlohmann::json& json_;
  std::string where_;
};

TrainState state_from(const nlohmann::json& json, const std::string& where) {
  const Fields f(json, where);
  int64_t format = 0;
  f.read("format", format);
  if (format != kFormat) throw Error(ErrorCode::kUnsupported, where, fmt::format("format {} was found; {} is read", format, kFormat), "use the version of hone that wrote it");
  TrainState s;
  f.read("step", s.step);
  f.read("tokens", s.tokens);
  f.read("supervised", s.supervised);
  f.read("seconds", s.seconds);
  f.read("smoothed_loss", s.smoothed_loss);
  f.read("best_loss", s.best_loss);
  f.read("has_best", s.has_best);
  f.read("best_step", s.best_step);
  f.read("since_best", s.since_best);
  f.read("skipped", s.skipped);
  f.read("skipped_in_row", s.skipped_in_row);
  f.read("rollbacks", s.rollbacks);
  if (json.contains("validation_due")) f.read("validation_due", s.validation_due);
  if (const auto it = json.find("validated_step"); it != json.end() && it->is_number_integer()) s.validated_step = it->get<int64_t>();
  if (json.contains("rate_factor")) f.read("rate_factor", s.rate_factor);
  if (!(s.rate_factor > 0)) throw Error(ErrorCode::kInvalidInput, where, fmt::format("rate_factor: expected a number above 0, found {}", s.rate_factor), "remove this checkpoint's folder to continue from an older one");
  const Fields loader(f.object("loader"), where);
  loader.read("epoch", s.loader.epoch);
  loader.read("position", s.loader.position);
  loader.read("row", s.loader.row);
  loader.read("fingerprint", s.loader.fingerprint);
  return s;
}

// Empty when every file matches the manifest, else what is wrong.
std::string damage(const fs::path& folder) {
  try {
    const nlohmann::json manifest = read_json(folder / kManifest, 1 << 20);
    if (!manifest.is_object() || !manifest.contains("files") || !manifest["files"].is_object()) return "manifest.json is malformed";
    for (const char* name : {kWeights, kOptimizer, kState}) {
      const auto it = manifest["files"].find(name);
      if (it == manifest["files"].end() || !it->is_string()) return fmt::format("{} is not in its manifest", name);
      if (io::sha256_of_file(folder / name) != it->get<std::string>()) return fmt::format("{} differs from its manifest", name);
    }
    return {};
  } catch (const Error& error) {
    return error.message();
  }
}

}  // namespace

CheckpointStore::CheckpointStore(const fs::path& run_folder, int64_t keep) : root_(run_folder / "checkpoints"), keep_(keep) {
  std::error_code error;
  fs::create_directories(root_, error);
  if (error) refused(root_, "create the folder", error);
  for (const auto& entry : fs::directory_iterator(root_, error))
    if (entry.path().filename().string().starts_with(".partial-")) fs::remove_all(entry.path(), error);
}

std::vector<fs::path> CheckpointStore::folders() const {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root_, error))
    if (entry.path().filename().string().starts_with("step-")) found.push_back(entry.path());
  std::sort(found.rbegin(), found.rend());
  return found;
}

uint64_t CheckpointStore::checkpoint_bytes(const Parameters& parameters) {
  constexpr uint64_t kBesides = 64 << 10;  // headers, state.json, manifest.json
  uint64_t bytes = kBesides;
  for (const auto& parameter : parameters) bytes += 3 * parameter->value.bytes();
  return bytes;
}

fs::path CheckpointStore::save(const TrainState& state, const Parameters& parameters, const optim::AdamW& optimizer) {
  const std::string name = fmt::format("step-{:08}", state.step);
  const fs::path partial = root_ / (".partial-" + name), target = root_ / name;
  std::error_code error;
  fs::remove_all(partial, error);
  const uint64_t needed = checkpoint_bytes(parameters);
  if (const auto left = free_bytes(root_); left && *left < needed) throw write_error(target, "save the checkpoint", ENOSPC, needed);
  fs::create_directory(partial, error);
  if (error) refused(partial, "create the folder", error);
  try {
    std::vector<std::pair<std::string, Tensor>> weights, moments;
    for (size_t i = 0; i < parameters.size(); ++i) {
      weights.emplace_back(parameters[i]->name, parameters[i]->value);
      if (optimizer.steps() == 0) continue;  // still zero
      moments.emplace_back("first." + parameters[i]->name, optimizer.first_moments()[i]);
      moments.emplace_back("second." + parameters[i]->name, optimizer.second_moments()[i]);
    }
    nlohmann::json files;
    files[kWeights] = io::write_safetensors(partial / kWeights, weights);
    files[kOptimizer] = io::write_safetensors(partial / kOptimizer, moments, {{"steps", std::to_string(optimizer.steps())}});
    files[kState] = io::write_file(partial / kState, to_json(state).dump(2) + "\n");
    io::write_file(partial / kManifest, nlohmann::json{{"files", files}}.dump(2) + "\n");
    io::sync_folder(partial);
    if (fs::exists(target)) replace_folder(partial, target);  // the same step saved twice: after a resume
    else fs::rename(partial, target);
    io::sync_folder(root_);
    if (const std::string wrong = damage(target); !wrong.empty())
      throw Error(ErrorCode::kIo, target.string(), "the checkpoint does not read back: " + wrong, "the disk may be failing: save to another one");
  } catch (const fs::filesystem_error& failure) {
    fs::remove_all(partial, error);
    refused(target, "save the checkpoint", failure.code());
  } catch (...) {
    fs::remove_all(partial, error);
    throw;
  }
  const auto all = folders();
  for (size_t i = static_cast<size_t>(keep_); i < all.size(); ++i) fs::remove_all(all[i], error);
  return target;
}

std::optional<CheckpointStore::Found> CheckpointStore::newest_good() const {
  Found found;
  for (const fs::path& folder : folders()) {
    const std::string wrong = damage(folder);
    if (wrong.empty()) {
      found.folder = folder;
      return found;
    }
    found.damaged.push_back(fmt::format("{}: {}", folder.filename().string(), wrong));
  }
  if (found.damaged.empty()) return std::nullopt;
  throw Error(ErrorCode::kInvalidInput, root_.string(), fmt::format("no checkpoint is whole ({})", found.damaged.front()),
              "start again with --overwrite");
}

TrainState CheckpointStore::load(const fs::path& folder, const Parameters& parameters, optim::AdamW& optimizer) {
  const TrainState state = state_from(read_json(folder / kState, 1 << 20), (folder / kState).string());
  const io::Safetensors weights = io::Safetensors::open(folder / kWeights), moments = io::Safetensors::open(folder / kOptimizer);
  if (weights.names().size() != parameters.size())
    throw Error(ErrorCode::kInvalidInput, folder.string(),
                fmt::format("holds {} trained tensors; this run trains {}", weights.names().size(), parameters.size()),
                "resume with the configuration the run was started with");
  const auto recorded = moments.metadata().find("steps");
  const int64_t steps = recorded == moments.metadata().end() ? state.step : std::strtoll(recorded->second.c_str(), nullptr, 10);
  std::vector<Tensor> first, second;
  for (const auto& parameter : parameters) {
    const Tensor saved = weights.tensor(parameter->name);
    if (saved.shape() != parameter->value.shape() || saved.dtype() != DType::kF32)
      throw Error(ErrorCode::kInvalidInput, folder.string(),
                  fmt::format("tensor {}: expected {}, found {}", parameter->name, parameter->value.shape().str(), saved.shape().str()),
                  "resume with the configuration the run was started with");
    for (const auto& [order, tensors] : {std::pair{"first.", &first}, {"second.", &second}})
      tensors->push_back(steps == 0 && !moments.has(order + parameter->name) ? Tensor::zeros(saved.shape(), DType::kF32) : moments.tensor(order + parameter->name));
  }
  optimizer.restore(steps, first, second);
  for (const auto& parameter : parameters) {
    const Tensor saved = weights.tensor(parameter->name);
    std::memcpy(parameter->value.raw_mutable(), saved.raw(), saved.bytes());
  }
  return state;
}

void fresh_folder(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (!error) fs::create_directory(path, error);
  if (error) refused(path, "create the folder", error);
}

void replace_folder(const fs::path& fresh, const fs::path& target) {
  std::error_code error;
  if (!fs::exists(target)) {
    fs::rename(fresh, target, error);
    if (error) refused(target, "move the folder into place", error);
    return;
  }
  if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) != 0) {
    const fs::path old = target.string() + ".old";
    fs::remove_all(old, error);
    fs::rename(target, old, error);
    if (!error) fs::rename(fresh, target, error);
    if (error) refused(target, "move the folder into place", error);
    fs::remove_all(old, error);
    return;
  }
  fs::remove_all(fresh, error);  // the old one, after the exchange
}

RunLock::RunLock(const fs::path& run_folder) {
  std::error_code error;
  fs::create_directories(run_folder, error);
  if (error) refused(run_folder, "create the folder", error);
  const fs::path path = run_folder / ".lock";
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0) refused(path, "open the file", std::error_code(errno, std::generic_category()));
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    ::close(std::exchange(fd_, -1));
    throw Error(ErrorCode::kInvalidInput, run_folder.string(), "another process is training into this folder",
                "wait for it to end, or choose another training.output_dir");
  }
}

RunLock::~RunLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace hone::train

#include "serve/models/catalog.h"

#include <openssl/sha.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

#include "base/error.h"
#include "base/path.h"
#include "io/peft_config.h"
#include "models/weights.h"
#include "recipes/model_files.h"
#include "recipes/tuned_model.h"
#include "recipes/tuned_system.h"
#include "serve/api/notes.h"

namespace hone::serve {
namespace {

namespace fs = std::filesystem;

std::string sha256(const std::string& text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  std::string hex;
  for (const unsigned char byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

std::string in_words(uint64_t parameters) {
  const auto n = static_cast<double>(parameters);
  if (n >= 1e9) return fmt::format("{:.1f}B", n / 1e9);
  if (n >= 1e6) return fmt::format("{:.2f}M", n / 1e6);
  return fmt::format("{:.1f}K", n / 1e3);
}

void each_tensor(const models::ModelSource& source, const std::function<void(const Tensor&)>& fn) {
  if (const io::Gguf* gguf = source.gguf()) {
    for (const std::string& name : gguf->tensor_names()) fn(gguf->tensor(name));
    return;
  }
  // Beside its weights a folder may hold buffers of any type.
  models::each_weight(source.config(), [&](const models::Weight& weight) {
    if (source.has(weight.name)) fn(source.tensor(weight.name));
  });
}

int64_t seconds_since_1970(const fs::path& path) {
  const auto written = fs::last_write_time(path);
  const auto now = std::chrono::system_clock::now() + std::chrono::duration_cast<std::chrono::system_clock::duration>(written - fs::file_time_type::clock::now());
  return std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
}

// Changes when one of the files is replaced, without reading them all.
std::string identity_of(const std::vector<fs::path>& files) {
  std::string identity;
  for (const fs::path& file : files) identity += fmt::format("\n{} {} {}", fs::weakly_canonical(file).string(), fs::file_size(file), fs::last_write_time(file).time_since_epoch().count());
  return identity;
}

// Size, age and identity of files.
void describe_files(ModelEntry& entry, const std::vector<fs::path>& files) {
  for (const fs::path& file : files) {
    entry.size += fs::file_size(file);
    entry.modified = std::max(entry.modified, seconds_since_1970(file));
  }
  entry.digest = sha256(entry.name + identity_of(files));
}

std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& item : fs::directory_iterator(folder))
    if (item.is_regular_file()) files.push_back(item.path());
  std::sort(files.begin(), files.end());
  return files;
}

// "SmolLM2-135M-Instruct.Q4_1" of a path; characters that URLs and command lines give a meaning become "-".
std::string name_of(const fs::path& path) {
  fs::path leaf = path.has_filename() ? path.filename() : path.parent_path().filename();
  if (leaf.extension() == ".gguf") leaf = leaf.stem();
  std::string name = leaf.string();
  for (char& c : name)
    if (!(std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' || c == '_' || c == ':')) c = '-';
  return name;
}

void check_name(const std::string& name, const std::string& where) {
  const bool good = !name.empty() && name.size() <= 128 && std::all_of(name.begin(), name.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || std::string_view("-._:/").find(c) != std::string_view::npos;
  });
  if (!good) throw Error(ErrorCode::kInvalidInput, where, "a model's name holds letters, digits and - . _ : / only", "write NAME=PATH");
}

// A model takes one adapter: what has one already is refused when the server starts, not at the first question.
void refuse_more_adapters(const ModelEntry& base, size_t more, const std::string& where) {
  const auto stored = recipes::find_model(base.base).stored;
  const size_t has = (stored ? stored->adapters.size() : 0) + (base.adapter.empty() ? 0 : 1);
  if (has + more <= 1) return;
  throw Error(ErrorCode::kUnsupported, where, fmt::format("{} has {} already; hone applies one", base.name, has > 1 ? "several adapters" : "an adapter"),
              stored ? fmt::format("name the model that it was made from (hone show {} --modelfile), or merge its adapter: hone export {} --format gguf --out merged.gguf", base.name, base.name)
                     : fmt::format("name its base instead: {}", base.parent));
}

}  // namespace

ModelEntry describe_model(std::string name, const std::string& base) {
  const recipes::ModelFiles files = recipes::open_model(base, "", recipes::TemplateChoice::kStored);
  const models::ModelConfig& config = files.source->config();
  ModelEntry entry;
  entry.name = std::move(name);
  entry.base = base;
  entry.files = files.source->path();
  std::vector<std::string> notes = files.notes;
  entry.parameters = files.parameters(notes);
  for (const std::string& note : notes) note_once(fmt::format("{}: {}", entry.name, note));
  if (files.stored) {
    entry.system = files.stored->system.value_or("");
    for (const store::ChatMessage& message : files.stored->messages) entry.messages.push_back({{"role", message.role}, {"content", message.content}});
  }
  describe_files(entry, files.source->weight_files());
  entry.weights = sha256(identity_of(files.source->weight_files()));
  entry.format = files.source->gguf() ? "gguf" : "safetensors";
  entry.family = models::name(config.family);
  std::map<std::string, size_t> bytes;  // by element type
  each_tensor(*files.source, [&](const Tensor& tensor) {
    entry.parameter_count += static_cast<uint64_t>(tensor.elements());
    bytes[std::string(hone::name(tensor.dtype()))] += tensor.bytes();
  });
  entry.parameter_size = in_words(entry.parameter_count);
  for (const auto& [type, count] : bytes)
    if (entry.quantization.empty() || count > bytes[entry.quantization]) entry.quantization = type;
  if (files.stored) {
    const store::StoredModel& stored = *files.stored;
    entry.manifest = entry.digest = stored.id;
    entry.weights = sha256(stored.weights.filename().string());  // a blob's name says what it holds, however often it was written
    entry.size = stored.manifest.size();
    entry.modified = seconds_since_1970(stored.manifest_file);
    if (!stored.facts.parameters.empty()) entry.parameter_size = stored.facts.parameters;
    if (!stored.facts.quantization.empty()) entry.quantization = stored.facts.quantization;
  }
  entry.context_length = config.max_positions;
  entry.embedding_length = config.hidden_size;
  return entry;
}

std::string without_latest(std::string name) {
  if (name.ends_with(":latest")) name.resize(name.size() - 7);
  return name;
}

Error unknown_model(const std::string& name, const std::vector<std::string>& known) {
  const std::string near = nearest(name, known);
  return Error(ErrorCode::kNotFound, "model", fmt::format("model '{}' not found", name), near.empty() ? "" : fmt::format("did you mean \"{}\"?", near));
}

LocalCatalog::LocalCatalog(const std::vector<std::string>& models, const std::vector<std::string>& adapters, const std::vector<std::string>& templates) {
  for (const std::string& word : models) {
    const size_t equal = word.find('=');
    const bool named = equal != std::string::npos && !fs::exists(word);
    const std::string base = named ? word.substr(equal + 1) : word;
    const std::string name = named ? word.substr(0, equal) : recipes::find_model(base).stored ? base : name_of(base);
    check_name(name, word);
    add(describe_model(name, base));
    refuse_more_adapters(entries_.back(), 0, word);
  }
  for (const std::string& word : templates) {
    const size_t equal = word.find('=');
    if (equal == std::string::npos) throw Error(ErrorCode::kInvalidInput, "--chat-template", fmt::format("expected MODEL=TEMPLATE, found {}", word), "write --chat-template mine=template.jinja");
    const std::string name = resolve(word.substr(0, equal)).name;
    for (ModelEntry& entry : entries_)
      if (entry.name == name) {
        entry.chat_template = word.substr(equal + 1);
        recipes::open_model(entry.base, entry.chat_template);
      }
  }
  for (const std::string& word : adapters) {
    const size_t equal = word.find('=');
    const bool named = equal != std::string::npos && word.find('@', equal) != std::string::npos;
    if (equal == std::string::npos || (entries_.empty() && !named))
      throw Error(ErrorCode::kInvalidInput, "--adapter", fmt::format("expected NAME=DIR beside a model, found {}", word), "write --adapter mine=runs/model");
    std::string folder = expanded_path(word.substr(equal + 1), "--adapter"), base = entries_.empty() ? "" : entries_.front().name;
    if (const size_t at = folder.rfind('@'); at != std::string::npos && !fs::exists(folder)) {
      base = folder.substr(at + 1);
      folder.resize(at);
    }
    const auto known = find(base);
    const bool in_store = !known && !base.empty() && recipes::find_model(base).stored;
    ModelEntry entry = in_store ? describe_model(base, base) : resolve(base);
    refuse_more_adapters(entry, 1, word);
    entry.parent = entry.name;
    entry.name = word.substr(0, equal);
    check_name(entry.name, word);
    entry.adapter = recipes::tuned_folder(folder);
    if (!fs::is_directory(entry.adapter)) throw Error(ErrorCode::kNotFound, folder, "there is no such adapter folder", "name a run's folder, or the folder of an adapter");
    entry.own_weights = !fs::exists(entry.adapter / "adapter_config.json");
    if (!entry.own_weights) io::read_peft_config(entry.adapter / "adapter_config.json");  // refused at the start
    if (const auto system = recipes::tuned_system(entry.adapter)) entry.system = *system;  // what it was trained with
    const uint64_t base_size = entry.size;
    entry.size = 0;
    describe_files(entry, files_below(entry.adapter));
    entry.size += base_size;
    add(std::move(entry));
  }
}

void LocalCatalog::add(ModelEntry entry) {
  for (const ModelEntry& other : entries_)
    if (without_latest(other.name) == without_latest(entry.name))
      throw Error(ErrorCode::kInvalidInput, entry.name, "two models have this name", "write NAME=PATH to name them apart");
  entries_.push_back(std::move(entry));
}

std::optional<ModelEntry> LocalCatalog::find(const std::string& name) const {
  for (const ModelEntry& entry : entries_)
    if (without_latest(entry.name) == without_latest(name)) return entry;
  return std::nullopt;
}

ModelEntry LocalCatalog::resolve(const std::string& name) const {
  if (auto entry = find(name)) return *entry;
  std::vector<std::string> known;
  for (const ModelEntry& entry : entries_) known.push_back(entry.name);
  throw unknown_model(name, known);
}

}  // namespace hone::serve

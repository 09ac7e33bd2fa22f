#include "store/hub.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <set>

#include "base/disk.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json_file.h"
#include "io/atomic_file.h"
#include "store/download.h"
#include "store/gguf_facts.h"

namespace hone::store {
namespace {

namespace fs = std::filesystem;

bool hexadecimal(const std::string& text, size_t size) {
  return text.size() == size && std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool safe_file(const std::string& name) {
  if (name.empty() || name.size() > 200 || name[0] == '.') return false;
  return std::all_of(name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' || c == '_' || c == '+'; });
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

fs::path home() {
  const std::string folder = environment("HF_HOME");
  if (!folder.empty()) return folder;
  const std::string cache = environment("XDG_CACHE_HOME");
  return (cache.empty() ? fs::path(environment("HOME")) / ".cache" : fs::path(cache)) / "huggingface";
}

std::string token() {
  std::string text = environment("HF_TOKEN");
  std::error_code error;
  if (text.empty() && fs::is_regular_file(home() / "token", error)) text = read_file(home() / "token", 4096);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  if (!std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; }))
    throw Error(ErrorCode::kInvalidInput, "HF_TOKEN", "holds characters that no token has", "copy it again from huggingface.co/settings/tokens");
  return text;
}

// Quantisation words stand between separators: "-Q4_K_M.gguf", ".Q8_0.gguf", "_f16.gguf".
bool holds_word(const std::string& file, const std::string& word) {
  for (size_t at = file.find(word); at != std::string::npos; at = file.find(word, at + 1)) {
    const auto separates = [](char c) { return c == '-' || c == '.' || c == '_'; };
    const size_t end = at + word.size();
    if ((at == 0 || separates(file[at - 1])) && (end == file.size() || file[end] == '.' || file[end] == '-')) return true;
  }
  return false;
}

bool is_split(const std::string& file) { return file.find("-of-0") != std::string::npos; }

class Hub {
 public:
  Hub(const ModelName& name, bool insecure, const Watch& watch) : name_(name), insecure_(insecure), watch_(watch), client_({.insecure = insecure, .interrupted = watch.interrupted}) {
    endpoint_ = environment("HF_ENDPOINT");
    while (endpoint_.ends_with("/")) endpoint_.pop_back();
    if (endpoint_.empty()) endpoint_ = "https://huggingface.co";
    const std::string secret = token();
    if (!secret.empty()) authorization_ = "Bearer " + secret;
  }

  HubRepository repository() {
    HttpResponse response;
    const std::string url = endpoint_ + "/api/models/" + name_.repository() + "/revision/main?blobs=true";
    with_retries(watch_, [&] {
      response = client_.send({.url = url, .authorization = authorization_, .limit = size_t{64} << 20});
      if (response.status != 200) throw refusal(response, name_.full());
    });
    return parse_repository(response.body, url);
  }

  void fetch(const HubRepository& repository, const HubFile& file, const fs::path& to) const {
    Download what;
    what.url = endpoint_ + "/" + name_.repository() + "/resolve/" + repository.commit + "/" + url_encoded(file.name);
    what.size = file.size;
    what.hash = file.etag;
    if (!file.large()) {
      what.algorithm = Hasher::Algorithm::kSha1;
      what.prefix = fmt::format("blob {}", file.size) + '\0';
    }
    what.status = "pulling " + file.name;
    what.insecure = insecure_;
    what.authorization = [this](bool) { return authorization_; };
    download(what, to, watch_);
  }

 private:
  const ModelName& name_;
  bool insecure_;
  const Watch& watch_;
  std::string endpoint_, authorization_;
  HttpClient client_;
};

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw write_error(folder, "create the folder", error.value());
}

fs::path cache_of(const std::string& space, const std::string& model) { return hub_cache() / ("models--" + space + "--" + model); }

// refs/main, blobs/ETAG and snapshots/COMMIT/FILE, a link to the blob: the layout that every program of the hub shares.
fs::path pull_snapshot(Hub& hub, const ModelName& name, const HubRepository& repository, const Watch& watch) {
  const fs::path folder = cache_of(name.space, name.model), snapshot = folder / "snapshots" / repository.commit;
  for (const char* part : {"refs", "blobs", "snapshots"}) make_folder(folder / part);
  make_folder(snapshot);
  for (const HubFile& file : model_files(repository, name.full())) {
    watch.check();
    const fs::path blob = folder / "blobs" / file.etag, link = snapshot / file.name;
    hub.fetch(repository, file, blob);
    std::error_code error;
    const fs::path target = fs::path("..") / ".." / "blobs" / file.etag;
    if (fs::read_symlink(link, error) == target) continue;
    const fs::path fresh = snapshot / fmt::format(".{}.partial-{}", file.name, ::getpid());
    fs::remove(fresh, error);
    if (::symlink(target.c_str(), fresh.c_str()) != 0) throw write_error(fresh, "make a link", errno);
    if (::rename(fresh.c_str(), link.c_str()) != 0) throw write_error(link, "move the link into place", errno);
  }
  io::sync_folder(snapshot);
  io::write_file(folder / "refs" / "main", repository.commit);
  return snapshot;
}

}  // namespace

HubRepository parse_repository(std::string_view text, const std::string& where) {
  const nlohmann::json json = parse_json(text, where);
  const auto malformed = [&](const std::string& what) { return Error(ErrorCode::kInvalidInput, where, "is not what the hub says about a model: " + what, "check HF_ENDPOINT and the name"); };
  HubRepository out;
  if (!json.is_object() || !json.contains("sha") || !json["sha"].is_string() || !hexadecimal(json["sha"].get<std::string>(), 40)) throw malformed("no commit");
  out.commit = json["sha"].get<std::string>();
  if (!json.contains("siblings") || !json["siblings"].is_array()) throw malformed("no list of files");
  for (const auto& entry : json["siblings"]) {
    if (!entry.is_object() || !entry.contains("rfilename") || !entry["rfilename"].is_string()) throw malformed("a file without a name");
    HubFile file{entry["rfilename"].get<std::string>(), 0, {}};
    if (!safe_file(file.name)) continue;  // of a folder below, or hidden
    const auto text_of = [](const nlohmann::json& from, const char* key) { return from.contains(key) && from[key].is_string() ? from[key].get<std::string>() : std::string(); };
    file.etag = text_of(entry, "blobId");
    if (entry.contains("lfs") && entry["lfs"].is_object()) file.etag = text_of(entry["lfs"], "sha256");
    const bool sized = entry.contains("size") && entry["size"].is_number_unsigned() && entry["size"].get<uint64_t>() < uint64_t{1} << 44;
    if (!sized || (!hexadecimal(file.etag, 64) && !hexadecimal(file.etag, 40))) throw malformed(file.name + " has no size or hash");
    file.size = entry["size"].get<uint64_t>();
    out.files.push_back(std::move(file));
  }
  return out;
}

const HubFile& choose_gguf(const HubRepository& repository, const std::string& tag, const std::string& where) {
  std::vector<const HubFile*> files;
  std::string names;
  bool split = false;
  for (const HubFile& file : repository.files) {
    const std::string name = lower(file.name);
    if (!name.ends_with(".gguf") || name.find("mmproj") != std::string::npos) continue;
    split = split || is_split(name);
    if (is_split(name)) continue;
    files.push_back(&file);
    names += (names.empty() ? "" : ", ") + file.name;
  }
  const auto with = [&](const std::string& word) -> const HubFile* {
    for (const HubFile* file : files)
      if (lower(file->name) == word || lower(file->name) == word + ".gguf") return file;
    for (const HubFile* file : files)
      if (holds_word(lower(file->name).substr(0, file->name.size() - 5), word)) return file;
    return nullptr;
  };
  if (tag == kDefaultTag) {
    for (const char* usual : {"q4_k_m", "q4_0", "q4_1", "q5_k_m", "q8_0", "f16", "bf16"})
      if (const HubFile* file = with(usual)) return *file;
    if (!files.empty()) return *files.front();
  } else if (const HubFile* file = with(lower(tag))) {
    return *file;
  }
  if (files.empty() && split) throw Error(ErrorCode::kUnsupported, where, "the model is split over several GGUF files", "take a repository that has it in one file");
  throw Error(ErrorCode::kNotFound, where, fmt::format("the repository has no GGUF file \"{}\"", tag), names.empty() ? "it has no GGUF files at all: leave the tag out to fetch the model itself" : "it has " + names.substr(0, 1000));
}

std::vector<HubFile> model_files(const HubRepository& repository, const std::string& where) {
  const auto find = [&](const std::string& name) { return std::any_of(repository.files.begin(), repository.files.end(), [&](const HubFile& f) { return f.name == name; }); };
  const bool sharded = find("model.safetensors.index.json"), single = find("model.safetensors");
  std::vector<HubFile> out;
  bool weights = false;
  for (const HubFile& file : repository.files) {
    const std::string& n = file.name;
    if (n.ends_with(".safetensors")) {
      // Some repositories hold the weights twice, also under names of their maker's own.
      const bool wanted = sharded ? n.starts_with("model-") : single ? n == "model.safetensors" : !n.starts_with("consolidated");
      if (!wanted) continue;
      weights = true;
    } else if (n == "model.safetensors.index.json") {
    } else if (n.ends_with(".index.json") || !(n.ends_with(".json") || n.ends_with(".jinja") || n == "tokenizer.model" || n == "merges.txt" || n.starts_with("LICENSE"))) {
      continue;
    }
    out.push_back(file);
  }
  if (!find("config.json") || !weights)
    throw Error(ErrorCode::kUnsupported, where, "the repository holds neither a GGUF file nor config.json with safetensors", "hone reads those two forms; others must be converted by their maker");
  return out;
}

fs::path hub_cache() {
  const std::string cache = environment("HF_HUB_CACHE");
  return cache.empty() ? home() / "hub" : fs::path(cache);
}

std::optional<fs::path> cached_snapshot(const std::string& space, const std::string& model) {
  const fs::path folder = cache_of(space, model), main = folder / "refs" / "main";
  std::error_code error;
  if (!fs::is_regular_file(main, error)) return std::nullopt;
  std::string commit = read_file(main, 4096);
  while (!commit.empty() && std::isspace(static_cast<unsigned char>(commit.back()))) commit.pop_back();
  const fs::path snapshot = folder / "snapshots" / commit;
  if (!hexadecimal(commit, 40) || !fs::exists(snapshot / "config.json", error)) return std::nullopt;
  for (const auto& entry : fs::directory_iterator(snapshot, error))
    if (entry.path().extension() == ".safetensors" && entry.exists(error)) return snapshot;
  return std::nullopt;
}

Pulled pull_from_hub(Library& library, const ModelName& name, bool insecure, const Watch& watch) {
  Hub hub(name, insecure, watch);
  watch.report({"pulling " + name.repository(), {}, 0, 0});
  const HubRepository repository = hub.repository();
  Pulled result{name, std::nullopt, {}};
  const bool gguf = std::any_of(repository.files.begin(), repository.files.end(), [](const HubFile& f) { return lower(f.name).ends_with(".gguf"); });
  if (!gguf && name.tag == kDefaultTag) {
    result.snapshot = pull_snapshot(hub, name, repository, watch);
    return result;
  }
  const HubFile& file = choose_gguf(repository, name.tag, name.full());
  if (!file.large()) throw Error(ErrorCode::kUnsupported, name.full(), fmt::format("{} has no SHA-256 on the hub", file.name), "take another file of the repository");
  ModelStore& store = library.own();
  {
    const WriteLease lease = store.lease();
    const Layer model{std::string(media::kModel), "sha256:" + file.etag, file.size};
    if (!store.has_blob(model)) hub.fetch(repository, file, store.place_for(lease, model));
    ModelFacts facts{"gguf", "unknown", {}, "unknown", "unknown"};
    try {
      facts = model_facts(io::Gguf::open(store.blob_path(model.digest)));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kUnsupported) throw;
      result.notes.push_back(fmt::format("{}: {}", file.name, error.message()));
    }
    Manifest manifest;
    manifest.layers = {model};
    manifest.config = store.add(lease, media::kConfig, to_json(facts, manifest.layers));
    watch.report({"writing manifest", {}, 0, 0});
    store.put(lease, name, to_json(manifest));
  }
  if (name.tag == kDefaultTag) result.notes.push_back(fmt::format("{} was chosen; others: hone pull {}/{}:QUANT", file.name, name.host, name.repository()));
  store.prune().tell(result.notes);
  return result;
}

}  // namespace hone::store

#include "recipes/config.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text_encoding.h"
#include "io/atomic_file.h"
#include "recipes/config_keys.h"

namespace hone::recipes {
namespace {

const Key* find_key(const std::string& path) {
  for (const Key& key : key_table())
    if (key.path == path || std::find(key.aliases.begin(), key.aliases.end(), path) != key.aliases.end()) return &key;
  return nullptr;
}

// True when some key lies below `path`: then a mapping there is walked into, not read.
bool is_group(const std::string& path) {
  for (const Key& key : key_table())
    if (key.path.starts_with(path + ".")) return true;
  return false;
}

[[noreturn]] void unknown(const std::string& path, const std::string& where) {
  std::vector<std::string> known;
  for (const Key& key : key_table()) {
    known.push_back(key.path);
    known.insert(known.end(), key.aliases.begin(), key.aliases.end());
  }
  for (size_t i = known.size(); i-- > 0;)  // groups, for a misspelt "modle:"
    if (const size_t dot = known[i].find('.'); dot != std::string::npos) known.push_back(known[i].substr(0, dot));
  std::string near = nearest(path, known);
  if (near.empty()) {  // the right key in another group: lora.learning_rate
    const std::string last = path.substr(path.rfind('.') + 1);
    for (const std::string& name : known)
      if (near.empty() && name.substr(name.rfind('.') + 1) == last) near = name;
  }
  throw Error(ErrorCode::kInvalidInput, where, fmt::format("unknown key \"{}\"", path),
              near.empty() ? "hone config lists every key" : fmt::format("did you mean \"{}\"?", near));
}

struct Setting {
  const Key* key;
  YAML::Node value;
  std::string where;
};

constexpr int kMaxDepth = 16;

void flatten(const YAML::Node& node, const std::string& prefix, const std::string& file, int depth, std::vector<Setting>& settings) {
  if (depth > kMaxDepth) throw Error(ErrorCode::kInvalidInput, file, "the file nests too deep", "no setting needs that");
  for (const auto& entry : node) {
    const int line = entry.first.Mark().line + 1;
    const std::string at = line > 0 ? fmt::format("{}:{}", file, line) : file;
    if (!entry.first.IsScalar()) throw Error(ErrorCode::kInvalidInput, at, "a key must be a word", "write key: value");
    const std::string path = prefix.empty() ? entry.first.Scalar() : prefix + "." + entry.first.Scalar();
    if (entry.second.IsMap() && is_group(path)) {
      flatten(entry.second, path, file, depth + 1, settings);
      continue;
    }
    const Key* key = find_key(path);
    if (!key && is_group(path) && !entry.second.IsMap())
      throw Error(ErrorCode::kInvalidInput, at, fmt::format("{} is a group of settings, found a single value", path), fmt::format("write {}: {{key: value}}", path));
    if (!key) unknown(path, at);
    settings.push_back({key, entry.second, fmt::format("{}: {}", at, path)});
  }
}

void read_settings(const std::vector<Setting>& settings, Config& config) {
  std::set<const Key*> seen;
  for (const Setting& s : settings)
    if (!seen.insert(s.key).second)
      throw Error(ErrorCode::kInvalidInput, s.where, fmt::format("{} is set twice", s.key->path), "keep one of the two");
  // In the table's order, so that the file's order never matters.
  for (const Key& key : key_table())
    for (const Setting& s : settings)
      if (s.key == &key && !s.value.IsNull()) key.read(config, s.value, s.where);
}

YAML::Node parse_yaml(const std::string& text, const std::string& where) {
  try {
    return YAML::Load(text);
  } catch (const YAML::ParserException& error) {
    const size_t tab = text.find('\t');
    const bool indented = tab != std::string::npos && text.find_last_not_of(" \t", tab) + 1 == text.rfind('\n', tab) + 1;
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}:{}", where, error.mark.line + 1), "is not YAML: " + error.msg,
                indented ? "YAML is indented with spaces: replace the tabs" : "check indentation, colons and quotes on this line");
  } catch (const YAML::Exception& error) {
    throw Error(ErrorCode::kInvalidInput, where, std::string("is not YAML: ") + error.what(), "check the file");
  }
}

void resolve(Config& c, const std::string& where) {
  const auto need = [&](bool good, const char* key, const std::string& message, const std::string& hint) {
    if (!good) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {}", where, key), message, hint);
  };
  if (c.training.learning_rate == 0) c.training.learning_rate = c.model.adapter == "full" ? 2e-5 : 1e-4;
  if (c.training.method == "pretrain") c.data.train_on = data::TrainOn::kAll;
  if (c.model.quantization == "auto" && !c.quantization.weight_dtype.empty()) c.model.quantization = c.quantization.weight_dtype;
  need(c.model.adapter != "full" || (c.model.quantization != "nf4" && c.model.quantization != "int8"), "model.adapter", "full fine-tuning cannot train nf4 or int8 weights", "use adapter: lora, or quantization: none");
  need(c.quantization.double_quant, "quantization.double_quant", "nf4 without double quantisation is not offered", "leave it at true: it costs no accuracy that could be measured");
  need(c.training.epochs > 0 || c.training.max_steps > 0, "training.epochs", "there is nothing to do: epochs and max_steps are both 0", "set one of them");
  need(c.alarms.bands.grad_norm_min <= c.alarms.bands.grad_norm_max, "alarms.grad_norm_min", "is above alarms.grad_norm_max", "the band lies between them");
  need(c.alarms.bands.memory_min <= c.alarms.bands.memory_max, "alarms.memory_min", "is above alarms.memory_max", "the band lies between them");
  need(c.training.sample_rows == 0 || !c.data.validation.empty(), "training.sample_rows", "no validation file is named", "name one in data.validation, or write the questions into training.sample_prompts");
  need(c.eval.score.automatic + c.eval.score.human > 0, "eval.automatic_weight", "neither automatic metrics nor human ratings count", "give at least one of them a weight above 0");
  need(!c.eval.metrics.empty(), "eval.metrics", "no metric is named", "for example [bleu, rouge]");
  need(c.eval.perplexity != "sliding" || c.eval.stride < c.eval.window, "eval.stride", "the stride must be smaller than the window", "half the window is usual");
  c.data.seed = static_cast<uint64_t>(c.training.seed);
  c.data.batch_size = c.training.batch_size;
  c.data.gradient_accumulation = c.training.gradient_accumulation;
}

}  // namespace

Config parse_config(const std::string& yaml, const std::string& where, const std::vector<std::string>& overrides) {
  Config config;
  const YAML::Node root = parse_yaml(yaml, where);
  std::vector<Setting> settings;
  if (root.IsMap()) flatten(root, "", where, 0, settings);
  else if (!root.IsNull()) throw Error(ErrorCode::kInvalidInput, where, "the file must hold key: value lines", "see docs/config.md for an example");
  std::vector<Setting> given;  // never assigned to one another: assigning a YAML::Node changes the document it points into
  for (const std::string& word : overrides) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0)
      throw Error(ErrorCode::kInvalidInput, "command line", fmt::format("expected key=value, found \"{}\"", word), "for example training.epochs=1");
    const std::string path = word.substr(0, equals);
    const Key* key = find_key(path);
    if (!key) unknown(path, "command line");
    given.push_back({key, parse_yaml(word.substr(equals + 1), "command line: " + path), "command line: " + path});
  }
  std::vector<Setting> all;
  for (const Setting& s : settings)
    if (std::none_of(given.begin(), given.end(), [&](const Setting& g) { return g.key == s.key; })) all.push_back(s);
  for (size_t i = 0; i < given.size(); ++i)  // the last of several counts
    if (std::none_of(given.begin() + static_cast<std::ptrdiff_t>(i) + 1, given.end(), [&](const Setting& g) { return g.key == given[i].key; }))
      all.push_back(given[i]);
  read_settings(all, config);
  resolve(config, where);
  return config;
}

Config load_config(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  Config config = parse_config(read_text(file, 4 << 20), file.string(), overrides);
  if (config.training.output_dir.empty()) config.training.output_dir = (std::filesystem::path("runs") / file.stem()).string();
  return config;
}

std::string to_yaml(const Config& config) {
  std::string out, group;
  for (const Key& key : key_table()) {
    const std::string value = key.write(config);
    if (value.empty()) continue;
    const size_t dot = key.path.find('.');
    const std::string own_group = dot == std::string::npos ? "" : key.path.substr(0, dot);
    if (own_group != group && !own_group.empty()) out += own_group + ":\n";
    group = own_group;
    out += fmt::format("{}{}: {}\n", own_group.empty() ? "" : "  ", dot == std::string::npos ? key.path : key.path.substr(dot + 1), value);
  }
  return out;
}

std::string resume_difference(const Config& before, const Config& after) {
  for (const Key& key : key_table()) {
    if (key.resumable) continue;
    const std::string old = key.write(before), now = key.write(after);
    if (old != now) return fmt::format("{}: {} → {}", key.path, old, now);
  }
  return {};
}

std::vector<KeyHelp> config_keys() {
  const Config standard;
  std::vector<KeyHelp> help;
  for (const Key& key : key_table()) {
    std::string aliases;
    for (const std::string& alias : key.aliases) aliases += (aliases.empty() ? "" : ", ") + alias;
    help.push_back({key.path, aliases, key.write(standard), key.meaning});
  }
  return help;
}

}  // namespace hone::recipes

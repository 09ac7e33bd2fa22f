#include "recipes/config.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/path.h"
#include "base/text_encoding.h"
#include "io/atomic_file.h"
#include "recipes/config_keys.h"
#include "recipes/dataset_info.h"
#include "recipes/foreign_keys.h"

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

// The nearest known key, or the right key in another group: lora.learning_rate.
std::string nearest_key(const std::string& path) {
  std::vector<std::string> known;
  for (const Key& key : key_table()) {
    known.push_back(key.path);
    known.insert(known.end(), key.aliases.begin(), key.aliases.end());
  }
  for (size_t i = known.size(); i-- > 0;)  // groups, for a misspelt "modle:"
    if (const size_t dot = known[i].find('.'); dot != std::string::npos) known.push_back(known[i].substr(0, dot));
  std::string near = nearest(path, known);
  const std::string last = path.substr(path.rfind('.') + 1);
  for (const std::string& name : known)
    if (near.empty() && name.substr(name.rfind('.') + 1) == last) near = name;
  return near;
}

struct Setting {
  const Key* key;
  YAML::Node value;
  std::string where;
};

constexpr int kMaxDepth = 16;
constexpr size_t kMaxMerges = 10000;  // of one file: merged lists of merged lists multiply

// Whether `node` is `target` or holds it, which aliases make the same node. Looks at no more than so many nodes.
bool refers(const YAML::Node& node, const YAML::Node& target, size_t& looks) {
  if (looks == 0) return false;
  --looks;
  if (node.is(target)) return true;
  for (const auto& item : node)
    if (refers(node.IsMap() ? item.second : YAML::Node(item), target, looks)) return true;
  return false;
}

// Every key of a file, sorted into what hone reads, what its neighbours read, and what nobody does.
class SettingsReader {
 public:
  explicit SettingsReader(std::string file) : file_(std::move(file)) {}

  void read(const YAML::Node& root) {
    flatten(root, "", 0);
    add_defaults();
    note_ignored();
    refuse_unknown();
  }
  void add(const std::string& path, const YAML::Node& value, const std::string& at) {
    if (const Key* key = find_key(path)) {
      settings_.push_back({key, value, fmt::format("{}: {}", at, path)});
      return;
    }
    if (!add_foreign(path, value, at)) unknown_.push_back({path, at, "", value, false});
  }
  const std::vector<Setting>& settings() const { return settings_; }
  std::vector<std::string> take_notes() { return std::move(notes_); }
  Dialect dialect() const { return dialect_of(top_level_); }
  void refuse_unknown() const;
  void note_ignored();

 private:
  struct Unknown {
    std::string path, at, hint;
    YAML::Node value;
    bool refused;  // a neighbour's key that hone does not offer
  };

  void flatten(const YAML::Node& node, const std::string& prefix, int depth) {
    if (depth > kMaxDepth) throw Error(ErrorCode::kInvalidInput, file_, "the file nests too deep", "no setting needs that");
    for (const auto& [name, value] : merged_entries(node, file_, &merged_)) {
      const int line = name.Mark().line + 1;
      const std::string at = line > 0 ? fmt::format("{}:{}", file_, line) : file_;
      if (!name.IsScalar()) throw Error(ErrorCode::kInvalidInput, at, "a key must be a word", "write key: value");
      const std::string path = prefix.empty() ? name.Scalar() : prefix + "." + name.Scalar();
      if (prefix.empty()) top_level_.push_back(path);
      if (value.IsMap() && is_group(path)) flatten(value, path, depth + 1);
      else if (!find_key(path) && is_group(path) && !value.IsMap() && !value.IsNull())
        throw Error(ErrorCode::kInvalidInput, at, fmt::format("{} is a group of settings, found a single value", path), fmt::format("write {}: {{key: value}}", path));
      else if (find_key(path) || !is_group(path)) add(path, value, at);
    }
  }

  bool add_foreign(const std::string& path, const YAML::Node& value, const std::string& at) {
    const std::string key = path.substr(path.rfind('.') + 1);
    const auto meaning = foreign_meaning(key, described(value));
    if (!meaning) return false;
    switch (meaning->use) {
      case ForeignMeaning::Use::kComputed:
        for (const ForeignSetting& setting : meaning->settings) settings_.push_back({find_key(setting.key), YAML::Load(setting.yaml), fmt::format("{}: {}", at, path)});
        break;
      case ForeignMeaning::Use::kWithoutEffect: ignored_.push_back({key, meaning->hint}); break;
      case ForeignMeaning::Use::kRefused: unknown_.push_back({path, at, meaning->hint, value, true}); break;
    }
    return true;
  }

  // A mapping or value at the top that other places refer to (&anchor), and keys that begin with "x-" or ".", are no settings.
  bool is_anchor(const Unknown& entry) const {
    if (entry.refused || entry.path.find('.') != std::string::npos) return entry.path.starts_with(".");
    if (entry.path.starts_with("x-")) return true;
    const auto used = [&](const YAML::Node& node) {
      return std::any_of(merged_.begin(), merged_.end(), [&](const YAML::Node& other) { return other.is(node); }) ||
             std::any_of(settings_.begin(), settings_.end(), [&](const Setting& s) {
               size_t looks = kMaxMerges;
               return refers(s.value, node, looks);
             });
    };
    if (used(entry.value)) return true;
    if (!entry.value.IsMap()) return false;
    return std::any_of(entry.value.begin(), entry.value.end(), [&](const auto& inner) { return used(inner.second); });
  }

  void add_defaults() {
    const Dialect dialect = this->dialect();
    if (dialect == Dialect::kOwn) return;
    ForeignFile file{top_level_, {}};
    for (const Setting& s : settings_)
      if (!s.value.IsNull()) file.settings.emplace(s.key->path, s.value.IsScalar() ? s.value.Scalar() : "");
    std::string words;
    const auto hold = [&](const std::string& key, const std::string& yaml) {
      settings_.push_back({find_key(key), YAML::Load(yaml), fmt::format("{}: {} as {} has it", file_, key, name(dialect))});
      words += fmt::format("{}{} {}", words.empty() ? "" : ", ", key, yaml);
    };
    for (const ForeignSetting& setting : defaults_of(dialect, file)) hold(setting.key, setting.yaml);
    const auto schedule = std::find_if(settings_.begin(), settings_.end(), [](const Setting& s) { return s.key->path == "schedule.type" && !s.value.IsNull(); });
    // Without "_with_warmup" transformers' constant schedule has none.
    if (schedule != settings_.end() && schedule->value.IsScalar() && schedule->value.Scalar() == "constant") {
      std::vector<Setting> kept;  // erasing would assign nodes, which changes the document that they point into
      for (const Setting& s : settings_)
        if (s.key->path != "schedule.warmup_ratio" && s.key->path != "schedule.warmup_steps") kept.push_back(s);
      settings_.swap(kept);
      hold("schedule.warmup_ratio", "0");
    }
    notes_.push_back(fmt::format("read as a file of {}; where it says nothing, its defaults hold: {}", name(dialect), words.empty() ? "none was needed" : words));
  }

  std::string file_;
  std::vector<Setting> settings_;
  std::vector<Unknown> unknown_;
  std::vector<std::pair<std::string, std::string>> ignored_;  // key, a word on it
  std::vector<std::string> top_level_, notes_;
  std::vector<YAML::Node> merged_;
};

void SettingsReader::note_ignored() {
  if (ignored_.empty()) return;
  std::vector<std::string> hints;
  for (const auto& [key, hint] : ignored_)
    if (std::find(hints.begin(), hints.end(), hint) == hints.end()) hints.push_back(hint);
  std::string text;
  for (const std::string& hint : hints) {
    std::string keys;
    for (const auto& [key, its_hint] : ignored_)
      if (its_hint == hint) keys += (keys.empty() ? "" : ", ") + key;
    text += fmt::format("{}{}{}", text.empty() ? "" : "; ", keys, hint.empty() ? "" : fmt::format(" ({})", hint));
  }
  notes_.push_back("without effect here: " + text);
  ignored_.clear();
}

// All of them in one answer.
void SettingsReader::refuse_unknown() const {
  std::vector<const Unknown*> list;
  for (const Unknown& entry : unknown_)
    if (!is_anchor(entry)) list.push_back(&entry);
  if (list.empty()) return;
  const auto hint_of = [](const Unknown& entry) {
    if (entry.refused) return entry.hint;
    const std::string near = nearest_key(entry.path);
    return near.empty() ? std::string("hone config lists every key") : fmt::format("did you mean \"{}\"?", near);
  };
  const bool all_refused = std::all_of(list.begin(), list.end(), [](const Unknown* entry) { return entry->refused; });
  const auto what = [](const Unknown& entry) { return entry.refused ? fmt::format("{} is not offered", entry.path) : fmt::format("unknown key \"{}\"", entry.path); };
  const ErrorCode code = all_refused ? ErrorCode::kUnsupported : ErrorCode::kInvalidInput;
  if (list.size() == 1) throw Error(code, list[0]->at, what(*list[0]), hint_of(*list[0]));
  std::string text = fmt::format("{} keys cannot be read:", list.size());
  for (const Unknown* entry : list) text += fmt::format("\n  {}: {}: {}", entry->at, what(*entry), hint_of(*entry));
  throw Error(code, file_, text, "hone config lists every key, docs/neighbours.md those of other trainers");
}

void read_settings(const std::vector<Setting>& settings, Config& config) {
  std::map<const Key*, std::string> seen;
  for (const Setting& s : settings) {
    if (s.value.IsNull()) continue;
    const auto [found, fresh] = seen.emplace(s.key, described(s.value));
    if (!fresh && (found->second != described(s.value) || !s.value.IsScalar()))
      throw Error(ErrorCode::kInvalidInput, s.where, fmt::format("{} is set twice", s.key->path), "keep one of the two");
  }
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

// Every setting that names a file or a folder.
void expand_paths(Config& c, const std::string& where) {
  const auto expand = [&](const char* key, std::string& path) { path = expanded_path(path, fmt::format("{}: {}", where, key)); };
  expand("model.base", c.model.base);
  expand("model.chat_template", c.model.chat_template);
  for (data::DatasetConfig& file : c.data.datasets) expand("data.datasets", file.path);
  for (data::DatasetConfig& file : c.data.validation) expand("data.validation", file.path);
  expand("training.output_dir", c.training.output_dir);
  expand("panel.keys", c.panel.keys);
  expand("dataset_dir", c.dataset_dir);
}

void resolve(Config& c, const std::string& where) {
  const auto need = [&](bool good, const char* key, const std::string& message, const std::string& hint) {
    if (!good) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {}", where, key), message, hint);
  };
  if (c.training.learning_rate == 0) c.training.learning_rate = c.model.adapter == "full" ? 2e-5 : 1e-4;
  if (c.training.method == "pretrain") c.data.train_on = data::TrainOn::kAll;
  if (c.model.quantization == "auto" && !c.quantization.weight_dtype.empty()) c.model.quantization = c.quantization.weight_dtype;
  need(c.model.adapter != "full" || (c.model.quantization != "nf4" && c.model.quantization != "int8"), "model.adapter", "full fine-tuning cannot train nf4 or int8 weights", "use adapter: lora, or quantization: none");
  const bool adapter_only = !c.lora.modules_to_save.empty() || c.lora.dora || c.lora.init != "default" || !c.lora.rank_pattern.empty() || !c.lora.alpha_pattern.empty();
  need(c.model.adapter != "full" || !adapter_only, "model.adapter", "full fine-tuning has no adapter: lora.modules_to_save, lora.dora, lora.init and the patterns would be passed over", "remove them, or train with model.adapter: lora");
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

std::vector<std::pair<YAML::Node, YAML::Node>> merged_entries(const YAML::Node& map, const std::string& where, std::vector<YAML::Node>* merged) {
  std::vector<std::pair<YAML::Node, YAML::Node>> entries;
  size_t merges = 0;
  const auto collect = [&](const auto& self, const YAML::Node& node, int depth, bool own) -> void {
    if (depth > kMaxDepth || ++merges > kMaxMerges) throw Error(ErrorCode::kInvalidInput, where, "merge keys (<<) nest too deep", "write the settings out");
    std::vector<YAML::Node> sources;
    for (const auto& entry : node) {
      if (entry.first.IsScalar() && entry.first.Scalar() == "<<") {
        if (!entry.second.IsMap() && !entry.second.IsSequence())
          throw Error(ErrorCode::kInvalidInput, fmt::format("{}:{}", where, entry.first.Mark().line + 1), "a merge key (<<) takes a mapping, or a list of them", "for example <<: *base");
        if (entry.second.IsMap()) sources.push_back(entry.second);
        else
          for (const auto& item : entry.second) sources.push_back(item);
        continue;
      }
      const bool known = !own && std::any_of(entries.begin(), entries.end(), [&](const auto& e) { return e.first.IsScalar() && entry.first.IsScalar() && e.first.Scalar() == entry.first.Scalar(); });
      if (!known) entries.emplace_back(entry.first, entry.second);
    }
    for (const YAML::Node& source : sources) {
      if (!source.IsMap()) throw Error(ErrorCode::kInvalidInput, where, "a merge key (<<) takes mappings", "for example <<: *base");
      if (merged) merged->push_back(source);
      self(self, source, depth + 1, false);
    }
  };
  collect(collect, map, 0, true);
  return entries;
}

std::string described(const YAML::Node& value) {
  if (value.IsScalar()) return value.Scalar();
  if (!value.IsSequence() && !value.IsMap()) return "";
  std::string text;
  for (const auto& item : value) {
    const YAML::Node word = value.IsMap() ? item.first : YAML::Node(item);
    text += (text.empty() ? "" : ",") + (word.IsScalar() ? word.Scalar() : std::string("…"));
  }
  if (text.empty()) return "";
  return value.IsMap() ? "{" + text + "}" : "[" + text + "]";
}

Config parse_config(const std::string& yaml, const std::string& where, const std::vector<std::string>& overrides) {
  Config config;
  const YAML::Node root = parse_yaml(yaml, where);
  SettingsReader file(where), command("command line");
  if (root.IsMap()) file.read(root);
  else if (!root.IsNull()) throw Error(ErrorCode::kInvalidInput, where, "the file must hold key: value lines", "see docs/config.md for an example");
  for (const std::string& word : overrides) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0)
      throw Error(ErrorCode::kInvalidInput, "command line", fmt::format("expected key=value, found \"{}\"", word), "for example training.epochs=1");
    const std::string path = word.substr(0, equals);
    command.add(path, parse_yaml(word.substr(equals + 1), "command line: " + path), "command line");
  }
  command.note_ignored();
  command.refuse_unknown();
  const std::vector<Setting> &settings = file.settings(), &given = command.settings();  // never assigned to one another: assigning a YAML::Node changes the document it points into
  std::vector<Setting> all;
  for (const Setting& s : settings)
    if (std::none_of(given.begin(), given.end(), [&](const Setting& g) { return g.key == s.key; })) all.push_back(s);
  for (size_t i = 0; i < given.size(); ++i)  // the last of several counts
    if (std::none_of(given.begin() + static_cast<std::ptrdiff_t>(i) + 1, given.end(), [&](const Setting& g) { return g.key == given[i].key; }))
      all.push_back(given[i]);
  for (SettingsReader* reader : {&file, &command})
    for (std::string& note : reader->take_notes()) config.notes.push_back(std::move(note));
  read_settings(all, config);
  expand_paths(config, where);
  for (auto* list : {&config.data.datasets, &config.data.validation}) resolve_dataset_names(*list, config.dataset_dir, config.training.method == "pretrain", where);
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

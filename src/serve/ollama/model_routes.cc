// /api/tags, show, ps, version, embed, embeddings.
#include <algorithm>

#include "io/gguf.h"
#include "recipes/modelfile.h"
#include "recipes/run_chat.h"
#include "serve/api/errors.h"
#include "serve/api/request_keys.h"
#include "serve/models/embedding.h"
#include "serve/ollama/requests.h"

namespace hone::serve::ollama {
namespace {

constexpr size_t kMaxInputs = 2048;

// What /api/version says: above every version of Ollama that a client may ask for, because the routes are those of recent ones. hone's own
// version stands beside it.
constexpr const char* kOllamaVersion = "0.99.0";

// Names carry their tag, as Ollama's clients expect.
std::string tagged(const std::string& name) { return name.find(':', name.rfind('/') == std::string::npos ? 0 : name.rfind('/')) == std::string::npos ? name + ":latest" : name; }

Json details(const ModelEntry& entry) {
  return {{"parent_model", entry.parent}, {"format", entry.format}, {"family", entry.family}, {"families", Json::array({entry.family})},
          {"parameter_size", entry.parameter_size}, {"quantization_level", entry.quantization}};
}

std::string timestamp_of(int64_t seconds) { return timestamp(std::chrono::system_clock::time_point(std::chrono::seconds(seconds))); }

void tags(Service& service, const Exchange& exchange) {
  Json list = Json::array();
  for (const ModelEntry& entry : service.catalog.list())
    list.push_back({{"name", tagged(entry.name)}, {"model", tagged(entry.name)}, {"modified_at", timestamp_of(entry.modified)}, {"size", entry.size},
                    {"digest", entry.digest}, {"details", details(entry)}});
  exchange->send(json_response({{"models", std::move(list)}}));
}

void ps(Service& service, const Exchange& exchange) {
  Json list = Json::array();
  for (const ModelPool::Loaded& loaded : service.pool.loaded()) {
    // "For ever" is a time that no server reaches.
    const double seconds = loaded.expires_in < 0 ? 3.0e9 : loaded.expires_in;
    const auto expires = std::chrono::system_clock::now() + std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
    list.push_back({{"name", tagged(loaded.entry.name)}, {"model", tagged(loaded.entry.name)}, {"size", loaded.bytes + loaded.adapter_bytes}, {"weights", loaded.weights}, {"digest", loaded.entry.digest},
                    {"details", details(loaded.entry)}, {"expires_at", timestamp(expires)}, {"size_vram", 0}, {"context_length", loaded.context}});
  }
  exchange->send(json_response({{"models", std::move(list)}}));
}

Json metadata_json(const io::GgufValue& value, bool verbose) {
  return std::visit([&](const auto& v) -> Json {
    using T = std::decay_t<decltype(v)>;
    if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, int64_t> || std::is_same_v<T, double> || std::is_same_v<T, std::string>) {
      return v;
    } else {
      return verbose ? Json(v) : Json();  // vocabularies are long
    }
  }, value);
}

Json model_info(const recipes::ModelFiles& files, const ModelEntry& entry, bool verbose) {
  Json info = {{"general.architecture", entry.family}, {"general.parameter_count", entry.parameter_count}};
  if (const io::Gguf* gguf = files.source->gguf()) {
    for (const auto& [key, value] : gguf->metadata())
      if (key != "tokenizer.chat_template") info[key] = metadata_json(value, verbose);
  } else {
    const auto& config = files.source->config();
    info[entry.family + ".block_count"] = config.layers;
    info[entry.family + ".embedding_length"] = config.hidden_size;
    info[entry.family + ".attention.head_count"] = config.heads;
    info[entry.family + ".attention.head_count_kv"] = config.kv_heads;
    info[entry.family + ".feed_forward_length"] = config.intermediate_size;
  }
  info[entry.family + ".context_length"] = entry.context_length;
  return info;
}

void show(Service& service, const Exchange& exchange) {
  const Json body = parse_body(exchange->request().body);
  const Fields fields(body);
  exchange->send(json_response(described(service.catalog.resolve(model_name(fields)), fields.boolean("verbose").value_or(false))));
}

// The tokens of one input; cut at the context's end unless `truncate` is off.
std::vector<int32_t> input_ids(const Resident& model, const std::string& text, int64_t context, bool truncate) {
  std::vector<int32_t> ids = raw_prompt(model, text, /*special=*/false);
  if (truncate && static_cast<int64_t>(ids.size()) > context) ids.resize(static_cast<size_t>(context));
  return ids;
}

void embed_texts(Service& service, const Exchange& exchange, bool old) {
  const auto started = Clock::now();
  const Json body = parse_body(exchange->request().body);
  const Fields fields(body);
  check_keys(ollama_embed_keys(), body, old ? "/api/embeddings" : "/api/embed");
  const std::string name = model_name(fields);
  const std::vector<std::string> texts = fields.strings(old ? "prompt" : "input", kMaxInputs);
  const auto keep_alive = keep_alive_of(fields);
  const auto dimensions = fields.integer("dimensions", 1, INT32_MAX);
  const bool truncate = fields.boolean("truncate").value_or(true);
  const Json* options = fields.object("options");
  const auto lease = std::make_shared<ModelPool::Lease>(service.pool.acquire(name, keep_alive));
  const int64_t context = context_of(ollama_settings((*lease)->entry.parameters, options ? *options : Json()), (*lease)->context());
  std::vector<std::vector<int32_t>> inputs;
  int64_t tokens = 0;
  for (const std::string& text : texts) {
    if (text.empty() && old) break;
    inputs.push_back(input_ids(**lease, text, context, truncate));
    tokens += static_cast<int64_t>(inputs.back().size());
  }
  const double load_seconds = lease->load_seconds();
  embed(lease, std::move(inputs), [exchange] { return exchange->gone(); }, [=](Vectors found, const std::optional<Error>& failure) {
    if (failure) return exchange->send(error_response(exchange->request(), *failure));
    Json vectors = Json::array();
    for (auto& vector : found) {
      if (dimensions && *dimensions < static_cast<int64_t>(vector.size())) shorten(vector, static_cast<size_t>(*dimensions));
      vectors.push_back(std::move(vector));
    }
    if (old) return exchange->send(json_response({{"embedding", vectors.empty() ? Json::array() : vectors[0]}}));
    exchange->send(json_response({{"model", name}, {"embeddings", std::move(vectors)}, {"total_duration", nanoseconds(seconds_since(started))},
                                  {"load_duration", nanoseconds(load_seconds)}, {"prompt_eval_count", tokens}}));
  });
}

}  // namespace

Json described(const ModelEntry& entry, bool verbose) {
  recipes::ModelFiles files = recipes::open_model(entry.base, entry.chat_template, recipes::TemplateChoice::kStored);
  recipes::take_run_chat(files, recipes::read_run_chat(entry.adapter));
  const store::StoredModel* stored = files.stored && entry.adapter.empty() && entry.chat_template.empty() ? &*files.stored : nullptr;
  std::string modelfile;
  try {
    if (stored) modelfile = store::to_text(stored->modelfile());
    else modelfile = recipes::modelfile(files, entry.files.string(), entry.adapter.string(), entry.system.empty() ? std::nullopt : std::optional(entry.system));
  } catch (const Error&) {
    // Not every chat template can be said in Ollama's language.
    modelfile = fmt::format("FROM {}\n", entry.files.string()) + (entry.adapter.empty() ? "" : fmt::format("ADAPTER {}\n", entry.adapter.string()));
  }
  std::string parameters;
  const Json all = stored ? Json(stored->parameters) : entry.parameters;  // as they were written, whatever hone makes of them
  for (const auto& [name, value] : all.items())
    for (const Json& one : value.is_array() ? value : Json::array({value})) parameters += fmt::format("{:<30} {}\n", name, dump(one));
  const std::string source = files.chat ? files.chat->source() : "";
  Json capabilities = Json::array({"completion"});
  if (source.find("tools") != std::string::npos) capabilities.push_back("tools");
  if (source.find("<think>") != std::string::npos) capabilities.push_back("thinking");
  Json json = {{"modelfile", modelfile}, {"parameters", parameters}, {"template", stored && stored->chat_template ? *stored->chat_template : source}, {"details", details(entry)},
               {"model_info", model_info(files, entry, verbose)}, {"capabilities", std::move(capabilities)},
               {"modified_at", timestamp_of(entry.modified)}};
  if (!entry.system.empty()) json["system"] = entry.system;
  if (!entry.messages.empty()) json["messages"] = entry.messages;
  if (stored && !stored->licenses.empty()) json["license"] = fmt::format("{}", fmt::join(stored->licenses, "\n"));
  return json;
}

void add_model_routes(http::Router& router, Service& service) {
  const auto add = [&](const char* method, const char* path, void (*route)(Service&, const Exchange&)) {
    add_route(router, method, path, http::Role::kInfer, [&service, route](const Exchange& exchange) { route(service, exchange); });
  };
  add("GET", "/api/tags", tags);
  add("GET", "/api/ps", ps);
  add("POST", "/api/show", show);
  add("GET", "/api/version", [](Service& s, const Exchange& exchange) { exchange->send(json_response({{"version", kOllamaVersion}, {"hone", s.version}})); });
  add("POST", "/api/embed", [](Service& s, const Exchange& exchange) { embed_texts(s, exchange, /*old=*/false); });
  add("POST", "/api/embeddings", [](Service& s, const Exchange& exchange) { embed_texts(s, exchange, /*old=*/true); });
}

}  // namespace hone::serve::ollama

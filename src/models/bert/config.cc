#include <nlohmann/json.hpp>

#include "models/bert/bert.h"

namespace hone::models {
namespace {

constexpr int64_t kMany = 1 << 20;

void check(const BertConfig& c, const std::string& where) {
  const auto range = [&](const char* key, int64_t value, int64_t most) {
    if (value < 1 || value > most) throw Error(ErrorCode::kInvalidInput, where, fmt::format("\"{}\": expected 1 to {}, found {}", key, most, value), "download the model's files again");
  };
  range("hidden_size", c.hidden_size, 1 << 16);
  range("num_hidden_layers", c.layers, 1024);
  range("num_attention_heads", c.heads, 1024);
  range("intermediate_size", c.intermediate_size, kMany);
  range("vocab_size", c.vocab_size, int64_t{1} << 24);
  range("max_position_embeddings", c.max_positions, kMany);
  range("type_vocab_size", c.token_types, 1024);
  if (c.hidden_size % c.heads != 0) throw Error(ErrorCode::kInvalidInput, where, fmt::format("{} heads do not share {} columns evenly", c.heads, c.hidden_size), "download the model's files again");
  if (!(c.norm_eps > 0 && c.norm_eps < 1)) throw Error(ErrorCode::kInvalidInput, where, fmt::format("\"layer_norm_eps\": expected a number above 0 and below 1, found {}", c.norm_eps), "download the model's files again");
}

[[noreturn]] void unsupported(const std::string& where, const std::string& what, const std::string& known) { throw Error(ErrorCode::kUnsupported, where, what + " is not supported", known); }

}  // namespace

BertConfig bert_config_from_json(const nlohmann::json& json, const std::string& where) {
  const auto wrong = [&](const char* key, const char* expected) { throw Error(ErrorCode::kInvalidInput, where, fmt::format("\"{}\" must be {}", key, expected), "download the model's config.json again"); };
  if (!json.is_object()) throw Error(ErrorCode::kInvalidInput, where, "is not a JSON object", "download the model's config.json again");
  const auto word = [&](const char* key, const char* otherwise) {
    const auto it = json.find(key);
    if (it == json.end() || it->is_null()) return std::string(otherwise);
    if (!it->is_string()) wrong(key, "a string");
    return it->get<std::string>();
  };
  const auto count = [&](const char* key, int64_t otherwise) {
    const auto it = json.find(key);
    if (it == json.end() || it->is_null()) return otherwise;
    if (!it->is_number_integer() || (it->is_number_unsigned() && it->get<uint64_t>() > (uint64_t{1} << 32))) wrong(key, "a whole number");
    return it->get<int64_t>();
  };
  if (const std::string type = word("model_type", ""); type != "bert") unsupported(where, fmt::format("model_type \"{}\"", type), "sentence embeddings take models of the type bert");
  if (const std::string act = word("hidden_act", "gelu"); act != "gelu") unsupported(where, fmt::format("hidden_act \"{}\"", act), "known: gelu");
  if (const std::string kind = word("position_embedding_type", "absolute"); kind != "absolute") unsupported(where, fmt::format("position_embedding_type \"{}\"", kind), "known: absolute");
  BertConfig c;  // defaults are those of transformers' BertConfig
  c.hidden_size = count("hidden_size", 768);
  c.layers = count("num_hidden_layers", 12);
  c.heads = count("num_attention_heads", 12);
  c.intermediate_size = count("intermediate_size", 3072);
  c.vocab_size = count("vocab_size", 30522);
  c.max_positions = count("max_position_embeddings", 512);
  c.token_types = count("type_vocab_size", 2);
  if (const auto eps = json.find("layer_norm_eps"); eps != json.end()) {
    if (!eps->is_number()) wrong("layer_norm_eps", "a number");
    c.norm_eps = eps->get<float>();
  }
  check(c, where);
  return c;
}

BertConfig bert_config_from_gguf(const io::Gguf& gguf) {
  const std::string where = gguf.path().string();
  if (const std::string type = gguf.string("general.architecture"); type != "bert") unsupported(where, fmt::format("architecture \"{}\"", type), "sentence embeddings take models of the type bert");
  if (gguf.find_bool("bert.attention.causal").value_or(false)) unsupported(where, "causal attention in an encoder", "known: attention over the whole text");
  BertConfig c;
  c.hidden_size = gguf.integer("bert.embedding_length");
  c.layers = gguf.integer("bert.block_count");
  c.heads = gguf.integer("bert.attention.head_count");
  c.intermediate_size = gguf.integer("bert.feed_forward_length");
  c.max_positions = gguf.integer("bert.context_length");
  c.norm_eps = static_cast<float>(gguf.real("bert.attention.layer_norm_epsilon"));
  const auto rows = [&](const char* name) {
    if (!gguf.has(name)) throw Error(ErrorCode::kInvalidInput, where, fmt::format("weight \"{}\" is missing", name), "download the file again");
    return gguf.tensor(name).size(0);
  };
  c.vocab_size = rows("token_embd.weight");
  c.token_types = rows("token_types.weight");
  check(c, where);
  return c;
}

std::string bert_gguf_name(std::string_view name) {
  static constexpr std::pair<std::string_view, std::string_view> kPlain[] = {{"embeddings.word_embeddings", "token_embd"}, {"embeddings.position_embeddings", "position_embd"},
                                                                             {"embeddings.token_type_embeddings", "token_types"}, {"embeddings.LayerNorm", "token_embd_norm"}};
  static constexpr std::pair<std::string_view, std::string_view> kLayer[] = {
      {"attention.self.query", "attn_q"}, {"attention.self.key", "attn_k"}, {"attention.self.value", "attn_v"}, {"attention.output.dense", "attn_output"},
      {"attention.output.LayerNorm", "attn_output_norm"}, {"intermediate.dense", "ffn_up"}, {"output.dense", "ffn_down"}, {"output.LayerNorm", "layer_output_norm"}};
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return {};
  const std::string_view module = name.substr(0, dot), part = name.substr(dot);
  for (const auto& [theirs, ours] : kPlain)
    if (module == theirs) return std::string(ours) + std::string(part);
  constexpr std::string_view kBegin = "encoder.layer.";
  if (!module.starts_with(kBegin)) return {};
  const std::string_view rest = module.substr(kBegin.size());
  const size_t end = rest.find('.');
  if (end == std::string_view::npos) return {};
  for (const auto& [theirs, ours] : kLayer)
    if (rest.substr(end + 1) == theirs) return fmt::format("blk.{}.{}{}", rest.substr(0, end), ours, part);
  return {};
}

}  // namespace hone::models

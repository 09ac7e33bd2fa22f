#include "store/name.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "io/atomic_file.h"

namespace hone::store {
namespace {

enum class NamePart { kHost, kNamespace, kModel, kTag };

bool alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

bool valid(NamePart part, std::string_view text) {
  if (text.empty() || text.size() > (part == NamePart::kHost ? 255 : 80)) return false;
  if ((!alphanumeric(text[0]) && text[0] != '_') || io::is_temporary(text)) return false;
  return std::all_of(text.begin(), text.end(), [&](char c) {
    if (alphanumeric(c) || c == '_' || c == '-') return true;
    if (c == '.') return part != NamePart::kNamespace;
    return c == ':' && part == NamePart::kHost;
  });
}

struct Published {
  std::string_view model, tag, real_model, real_tag;
};
// DeepSeek's families are published one by one; people ask for "deepseek" and a size. Sizes that several families have mean
// the one that was asked for most: R1's.
constexpr auto kPublished = std::to_array<Published>({
    {"deepseek", "latest", "deepseek-r1", "latest"},       {"deepseek", "1.3b", "deepseek-coder", "1.3b"}, {"deepseek", "1.5b", "deepseek-r1", "1.5b"},
    {"deepseek", "6.7b", "deepseek-coder", "6.7b"},        {"deepseek", "7b", "deepseek-llm", "7b"},       {"deepseek", "8b", "deepseek-r1", "8b"},
    {"deepseek", "14b", "deepseek-r1", "14b"},             {"deepseek", "16b", "deepseek-v2", "16b"},      {"deepseek", "32b", "deepseek-r1", "32b"},
    {"deepseek", "33b", "deepseek-coder", "33b"},          {"deepseek", "67b", "deepseek-llm", "67b"},     {"deepseek", "70b", "deepseek-r1", "70b"},
    {"deepseek", "236b", "deepseek-v2", "236b"},           {"deepseek", "671b", "deepseek-r1", "671b"},    {"deepseek", "llm", "deepseek-llm", "latest"},
    {"deepseek", "coder", "deepseek-coder", "latest"},     {"deepseek", "r1", "deepseek-r1", "latest"},    {"deepseek", "v2", "deepseek-v2", "latest"},
    {"deepseek", "v3", "deepseek-v3", "latest"},           {"deepseek-7b", "latest", "deepseek-llm", "7b"}, {"deepseek-67b", "latest", "deepseek-llm", "67b"},
});

}  // namespace

std::string ModelName::full() const { return host + "/" + space + "/" + model + ":" + tag; }

std::string ModelName::shortest() const {
  if (host != kDefaultHost) return full();
  return (space == kDefaultNamespace ? "" : space + "/") + model + ":" + tag;
}

std::filesystem::path ModelName::path() const { return std::filesystem::path(host) / space / model / tag; }

ModelName parse_name(std::string_view text) {
  const std::string whole(text);
  const auto refuse = [&](std::string_view part, std::string_view value) {
    throw Error(ErrorCode::kInvalidInput, whole.empty() ? "model" : whole, fmt::format("is not a model's name: {} \"{}\" is malformed", part, value),
                "names look like smollm2:135m, namespace/model:tag or host:5000/namespace/model:tag");
  };
  if (const size_t scheme = text.find("://"); scheme != std::string_view::npos) text.remove_prefix(scheme + 3);
  ModelName name{std::string(kDefaultHost), std::string(kDefaultNamespace), {}, std::string(kDefaultTag)};
  const size_t slash = text.rfind('/'), colon = text.rfind(':');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    name.tag = text.substr(colon + 1);
    text = text.substr(0, colon);
  }
  name.model = slash == std::string_view::npos ? text : text.substr(slash + 1);
  if (slash != std::string_view::npos) {
    text = text.substr(0, slash);
    const size_t before = text.rfind('/');
    name.space = before == std::string_view::npos ? text : text.substr(before + 1);
    if (before != std::string_view::npos) name.host = text.substr(0, before);
  }
  if (name.host == "huggingface.co") name.host = kHubHost;
  if (!valid(NamePart::kHost, name.host)) refuse("host", name.host);
  // The hub's namespaces have dots, Ollama's have not.
  if (!valid(name.on_hub() ? NamePart::kModel : NamePart::kNamespace, name.space)) refuse("namespace", name.space);
  if (!valid(NamePart::kModel, name.model)) refuse("model", name.model);
  if (!valid(NamePart::kTag, name.tag)) refuse("tag", name.tag);
  return name;
}

std::optional<ModelName> try_name(std::string_view text) {
  try {
    return parse_name(text);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<ModelName> published_name(const ModelName& name) {
  if (name.host != kDefaultHost || name.space != kDefaultNamespace) return std::nullopt;
  for (const Published& p : kPublished)
    if (p.model == name.model && p.tag == name.tag) return ModelName{name.host, name.space, std::string(p.real_model), std::string(p.real_tag)};
  return std::nullopt;
}

}  // namespace hone::store

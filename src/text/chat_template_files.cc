// Where templates come from: a model's folder, or a name.
#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "text/chat_template.h"

namespace hone::text {
namespace {

std::optional<std::string> content_of(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  return read_file(path, size_t{64} << 20);
}

std::optional<std::string> template_in(const std::filesystem::path& path) {
  const auto text = content_of(path);
  if (!text) return std::nullopt;
  const Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded() || !json.is_object())
    throw Error(ErrorCode::kInvalidInput, path.string(), "is not a JSON object", "the file may be cut off: fetch it again");
  const auto found = json.find("chat_template");
  if (found == json.end() || found->is_null()) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  if (found->is_array())
    for (const auto& entry : *found)
      if (entry.is_object() && entry.value("name", "") == "default" && entry.contains("template") && entry["template"].is_string())
        return entry["template"].get<std::string>();
  throw Error(ErrorCode::kInvalidInput, path.string(), "chat_template is neither a string nor a list with a \"default\"",
              "write the template as a string");
}

struct Named {
  std::string_view name, source;
};
// The published turn formats of each family, written as templates.
constexpr Named kNamed[] = {
    {"chatml",
     "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
     "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"},
    {"llama3",
     "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message.role }}<|end_header_id|>\n\n"
     "{{ message.content | trim }}<|eot_id|>{% endfor %}"
     "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"},
    {"deepseek",
     "{{ bos_token }}{% for message in messages %}{% if message.role == 'system' %}{{ message.content }}"
     "{% elif message.role == 'user' %}<｜User｜>{{ message.content }}"
     "{% else %}<｜Assistant｜>{{ message.content }}{{ eos_token }}{% endif %}{% endfor %}"
     "{% if add_generation_prompt %}<｜Assistant｜>{% endif %}"},
    {"deepseek2",
     "{{ bos_token }}{% for message in messages %}{% if message.role == 'system' %}{{ message.content }}\n\n"
     "{% elif message.role == 'user' %}User: {{ message.content }}\n\n"
     "{% else %}Assistant: {{ message.content }}{{ eos_token }}{% endif %}{% endfor %}"
     "{% if add_generation_prompt %}Assistant:{% endif %}"},
};

}  // namespace

std::optional<std::string> chat_template_of_directory(const std::filesystem::path& directory) {
  if (auto text = content_of(directory / "chat_template.jinja")) return text;
  if (auto text = template_in(directory / "tokenizer_config.json")) return text;
  return template_in(directory / "chat_template.json");
}

const std::vector<std::string>& chat_template_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const Named& named : kNamed) list.emplace_back(named.name);
    return list;
  }();
  return names;
}

std::string chat_template_by_name(std::string_view name) {
  for (const Named& named : kNamed)
    if (named.name == name) return std::string(named.source);
  std::string known;
  for (const std::string& word : chat_template_names()) known += (known.empty() ? "" : ", ") + word;
  throw Error(ErrorCode::kNotFound, "chat template", fmt::format("there is no template called \"{}\"", name), "known: " + known);
}

}  // namespace hone::text

// hone show MODEL
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/verb.h"
#include "base/error.h"
#include "store/gguf_facts.h"
#include "store/library.h"
#include "store/parameters.h"

namespace hone::apps {
namespace {

using Rows = std::vector<std::pair<std::string, std::string>>;

void section(const std::string& title, const Rows& rows) {
  if (rows.empty()) return;
  size_t width = 0;
  for (const auto& [key, value] : rows) width = std::max(width, key.size());
  fmt::print("  {}\n", title);
  for (const auto& [key, value] : rows) fmt::print("    {:<{}}    {}\n", key, width, value);
  fmt::print("\n");
}

// The first lines of a long text.
void section(const std::string& title, const std::string& text, size_t limit) {
  fmt::print("  {}\n", title);
  std::istringstream lines(text);
  size_t shown = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    if (shown++ == limit) {
      fmt::print("    ...\n");
      break;
    }
    fmt::print("    {}\n", line.substr(line.find_first_not_of(" \t")));
  }
  fmt::print("\n");
}

// What the file itself says; a file of a kind that hone does not read still has its config blob.
store::GgufFacts facts_of(const store::StoredModel& model) {
  try {
    return store::facts_of(io::Gguf::open(model.weights));
  } catch (const Error&) {
    return {model.facts.family, model.facts.quantization, 0, 0, 0};
  }
}

Rows parameters_of(const store::StoredModel& model) {
  Rows rows;
  for (const auto& [name, value] : store::parameter_lines(model.parameters)) rows.emplace_back(name, name == "stop" ? "\"" + value + "\"" : value);
  return rows;
}

void print(const store::StoredModel& model) {
  const store::GgufFacts facts = facts_of(model);
  Rows rows = {{"architecture", facts.architecture}, {"parameters", facts.parameters > 0 ? store::human_count(facts.parameters) : model.facts.parameters}};
  if (facts.context_length > 0) rows.emplace_back("context length", std::to_string(facts.context_length));
  if (facts.embedding_length > 0) rows.emplace_back("embedding length", std::to_string(facts.embedding_length));
  rows.emplace_back("quantization", facts.quantization == "unknown" ? model.facts.quantization : facts.quantization);
  section("Model", rows);
  rows.clear();
  for (const auto& adapter : model.adapters) rows.emplace_back("blob", adapter.filename().string().substr(7, 12));
  section("Adapter", rows);
  section("Parameters", parameters_of(model));
  if (model.system) section("System", *model.system, 10);
  for (const store::ChatMessage& m : model.messages) section("Message from " + m.role, m.content, 3);
  for (const std::string& license : model.licenses) section("License", license, 2);
}

nlohmann::ordered_json to_json(const store::StoredModel& m) {
  const store::GgufFacts facts = facts_of(m);
  nlohmann::ordered_json layers = nlohmann::ordered_json::array(), messages = nlohmann::ordered_json::array();
  for (const store::Layer& layer : m.manifest.layers) layers.push_back({{"media_type", layer.media_type}, {"digest", layer.digest}, {"size", layer.size}});
  for (const store::ChatMessage& message : m.messages) messages.push_back({{"role", message.role}, {"content", message.content}});
  return {{"name", m.name.shortest()},
          {"digest", m.id},
          {"size", m.manifest.size()},
          {"details", {{"format", m.facts.format}, {"family", m.facts.family}, {"parameter_size", m.facts.parameters}, {"quantization_level", m.facts.quantization}}},
          {"architecture", facts.architecture},
          {"parameter_count", facts.parameters},
          {"context_length", facts.context_length},
          {"embedding_length", facts.embedding_length},
          {"template", m.chat_template.value_or("")},
          {"system", m.system.value_or("")},
          {"parameters", m.parameters},
          {"messages", messages},
          {"license", m.licenses},
          {"layers", layers},
          {"modelfile", store::to_text(m.modelfile())}};
}

}  // namespace

void add_show(CLI::App& app, Action& action) {
  struct Arguments {
    std::string model;
    bool modelfile = false, license = false, parameters = false, system = false, chat_template = false, json = false;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("show", "What a model consists of");
  verb->add_option("model", a->model, "its name")->required();
  verb->add_flag("--modelfile", a->modelfile, "the Modelfile that makes it again");
  verb->add_flag("--parameters", a->parameters, "only these");
  verb->add_flag("--template", a->chat_template, "only this");
  verb->add_flag("--system", a->system, "only this");
  verb->add_flag("--license", a->license, "only this");
  verb->add_flag("--json", a->json, "one JSON object");
  verb->callback([a, &action] {
    action = [a] {
      const store::StoredModel model = store::Library().open(store::parse_name(a->model));
      if (a->json) fmt::print("{}\n", to_json(model).dump());
      else if (a->modelfile) fmt::print("{}", store::to_text(model.modelfile()));
      else if (a->chat_template) fmt::print("{}\n", model.chat_template.value_or(""));
      else if (a->system) fmt::print("{}\n", model.system.value_or(""));
      else if (a->parameters)
        for (const auto& [name, value] : parameters_of(model)) fmt::print("{:<30} {}\n", name, value);
      else if (a->license)
        for (const std::string& license : model.licenses) fmt::print("{}\n", license);
      else print(model);
      return 0;
    };
  });
}

}  // namespace hone::apps

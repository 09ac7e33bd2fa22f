#include "recipes/dataset_info.h"

#include <filesystem>

#include "base/error.h"
#include "base/json_file.h"

namespace hone::recipes {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostInfoBytes = 16 << 20;

std::string text_at(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

const nlohmann::json& object_at(const nlohmann::json& object, const char* key) {
  static const nlohmann::json none = nlohmann::json::object();
  const auto found = object.find(key);
  return found != object.end() && found->is_object() ? *found : none;
}

void read_entry(const nlohmann::json& info, const fs::path& folder, bool pretrain, const std::string& where, data::DatasetConfig& dataset) {
  const auto refuse = [&](const std::string& message, const std::string& hint) { throw Error(ErrorCode::kUnsupported, where, message, hint); };
  for (const char* hub : {"hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name"})
    if (info.contains(hub) && !info.contains("file_name")) refuse(fmt::format("is fetched from elsewhere (\"{}\")", hub), "download the rows and name their file: \"file_name\"");
  if (info.value("ranking", nlohmann::json(false)) == nlohmann::json(true)) refuse("holds preference pairs (\"ranking\")", "hone trains by sft and pretrain");
  const std::string file = text_at(info, "file_name");
  if (file.empty()) throw Error(ErrorCode::kInvalidInput, where, "has no \"file_name\"", "name the file of rows");
  dataset.path = (folder / file).string();
  if (const auto rows = info.find("num_samples"); rows != info.end() && rows->is_number_integer() && rows->get<int64_t>() > 0) dataset.max_rows = rows->get<int64_t>();
  const nlohmann::json &columns = object_at(info, "columns"), &tags = object_at(info, "tags");
  for (const char* pictures : {"images", "videos", "audios", "chosen", "rejected", "kto_tag"})
    if (columns.contains(pictures)) refuse(fmt::format("has a column \"{}\"", pictures), "hone learns from texts and conversations");
  const auto column = [&](const char* theirs, const char* ours, const char* usual) {
    const std::string name = text_at(columns, theirs);
    if (!name.empty() && name != usual) dataset.columns[ours] = name;
  };
  const std::string formatting = info.value("formatting", nlohmann::json("alpaca")).is_string() ? info.value("formatting", std::string("alpaca")) : "";
  if (formatting == "alpaca" && pretrain) {
    dataset.format = data::Format::kText;
    const std::string text = text_at(columns, "prompt");
    const std::string name = text.empty() ? "instruction" : text;
    if (name != "text") dataset.columns["text"] = name;
  } else if (formatting == "alpaca") {
    dataset.format = data::Format::kAlpaca;
    column("prompt", "instruction", "instruction");
    column("query", "input", "input");
    column("response", "output", "output");
    column("history", "history", "history");
    column("system", "system", "system");
    column("tools", "tools", "tools");
  } else if (formatting == "sharegpt" || formatting == "openai") {
    dataset.format = data::Format::kShareGpt;
    column("messages", "conversations", "conversations");
    column("system", "system", "system");
    column("tools", "tools", "tools");
    if (const std::string role = text_at(tags, "role_tag"); !role.empty() && role != "from") dataset.columns["from"] = role;
    if (const std::string content = text_at(tags, "content_tag"); !content.empty() && content != "value") dataset.columns["value"] = content;
    for (const auto& [tag, role] : {std::pair("user_tag", "user"), {"assistant_tag", "assistant"}, {"observation_tag", "tool"}, {"function_tag", "function_call"}, {"system_tag", "system"}})
      if (const std::string name = text_at(tags, tag); !name.empty()) dataset.roles[name] = role;
  } else {
    refuse(fmt::format("is in the form \"{}\"", formatting), "alpaca and sharegpt are read");
  }
}

}  // namespace

void resolve_dataset_names(std::vector<data::DatasetConfig>& list, const std::string& folder, bool pretrain, const std::string& where) {
  const fs::path place = folder.empty() ? "data" : folder, file = place / "dataset_info.json";
  std::error_code ignored;
  nlohmann::json info;
  for (data::DatasetConfig& dataset : list) {
    if (dataset.path.empty() || fs::exists(dataset.path, ignored)) continue;
    if (info.is_null()) {
      if (!fs::exists(file, ignored)) {
        if (folder.empty()) return;
        throw Error(ErrorCode::kNotFound, fmt::format("{}: dataset_dir", where), fmt::format("{} does not exist, and \"{}\" is no file", file.string(), dataset.path), "name the folder that holds dataset_info.json, or a file of rows");
      }
      info = read_json(file, kMostInfoBytes);
      if (!info.is_object()) throw Error(ErrorCode::kInvalidInput, file.string(), "must be an object of datasets by their names", "see LLaMA-Factory's data/README.md");
    }
    const auto found = info.find(dataset.path);
    if (found == info.end() || !found->is_object()) {
      std::vector<std::string> names;
      for (const auto& [name, entry] : info.items()) names.push_back(name);
      const std::string near = nearest(dataset.path, names);
      throw Error(ErrorCode::kNotFound, where, fmt::format("\"{}\" is no file, and {} has no dataset of that name", dataset.path, file.string()),
                  near.empty() ? "name a file of rows, or a dataset of dataset_info.json" : fmt::format("did you mean \"{}\"?", near));
    }
    const std::string name = dataset.path;
    read_entry(*found, place, pretrain, fmt::format("{}: {}", file.string(), name), dataset);
  }
}

}  // namespace hone::recipes

#include "eval/lm_eval.h"

#include "base/error.h"
#include "base/json_file.h"

namespace hone::eval {
namespace {

using nlohmann::json;

std::string text_of(const json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end()) return {};
  return it->is_string() ? it->get<std::string>() : it->is_number() ? it->dump() : std::string();
}

// The object under `key`, or an empty one.
const json& group(const json& document, const char* key) {
  static const json empty = json::object();
  const auto it = document.find(key);
  return it != document.end() && it->is_object() ? *it : empty;
}

}  // namespace

HarnessResults read_harness_results(const std::filesystem::path& path) {
  const json document = read_json(path);
  const std::string where = path.string();
  if (!document.is_object() || !document.contains("results") || !document["results"].is_object())
    throw Error(ErrorCode::kInvalidInput, where, "expected an object with \"results\"", "name a results_….json that lm_eval wrote with --output_path");
  HarnessResults out;
  out.model = text_of(document, "model_name");
  if (out.model.empty()) out.model = text_of(group(document, "config"), "model_args");
  for (const auto& [task, metrics] : document["results"].items()) {
    if (!metrics.is_object()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: results.{}", where, task), fmt::format("expected an object, found {}", metrics.type_name()), "the file is damaged");
    for (const auto& [key, value] : metrics.items()) {
      const size_t comma = key.find(',');
      const std::string metric = key.substr(0, comma), filter = comma == std::string::npos ? "" : key.substr(comma + 1);
      if (!value.is_number() || metric.ends_with("_stderr") || key == "sample_len") continue;
      HarnessResult& r = out.results.emplace_back(HarnessResult{task, metric, filter, value.get<double>(), std::nullopt, std::nullopt, text_of(group(document, "versions"), task.c_str())});
      const auto error = metrics.find(metric + "_stderr" + (comma == std::string::npos ? "" : "," + filter));
      if (error != metrics.end() && error->is_number()) r.standard_error = error->get<double>();
      const auto shots = group(document, "n-shot").find(task);
      if (shots != group(document, "n-shot").end() && shots->is_number_integer()) r.shots = shots->get<int64_t>();
    }
  }
  if (out.results.empty()) throw Error(ErrorCode::kInvalidInput, where, "\"results\" holds no figure", "name a results_….json that lm_eval wrote with --output_path");
  return out;
}

}  // namespace hone::eval

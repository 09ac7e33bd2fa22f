#include "serve/models/call_form.h"

#include <algorithm>

#include "base/error.h"
#include "serve/models/splitter.h"

namespace hone::serve {
namespace {

constexpr size_t kMaxCalls = 16;  // of one answer that must be calls
constexpr const char* kSampleName = "sample_tool";

std::string tool_name(const Json& tool) { return tool["function"]["name"].get<std::string>(); }

// The name of a tool, in the form of chat completions or of responses.
std::string named(const Json& choice, const std::string& where) {
  const Fields fields(choice, where);
  const Json* function = fields.object("function");
  const auto name = function ? Fields(*function, where + ".function").string("name", 256) : fields.string("name", 256);
  if (!name || name->empty()) throw Error(ErrorCode::kInvalidInput, where, "expected a function's name");
  return *name;
}

// What the template writes for a call.
std::string sample(const Resident& model, const Json& tools) {
  if (!model.files.chat) return "";
  text::RenderOptions options = model.files.render_options();
  options.tools = tools;
  const Json question = {{"role", "user"}, {"content", "x"}};
  for (const Json& arguments : {Json{{"key", "value"}}, Json(R"({"key": "value"})")}) {  // some templates want them as text
    const Json function = {{"name", kSampleName}, {"arguments", arguments}};
    const Json call = {{"id", "call00001"}, {"type", "function"}, {"function", function}};
    const Json answer = {{"role", "assistant"}, {"content", ""}, {"tool_calls", Json::array({call})}};
    try {
      const std::string with = model.files.chat->render_prompt(Json::array({question, answer}), options).text;
      const std::string without = model.files.chat->render_prompt(Json::array({question}), options).text;
      const auto end = with.begin() + static_cast<std::ptrdiff_t>(std::min(with.size(), without.size()));
      return {std::mismatch(with.begin(), end, without.begin()).first, with.end()};
    } catch (const Error&) {
      continue;
    }
  }
  return "";  // it shows tools, but no calls
}

struct Form {
  Schema::Calls calls;
  std::string before_name, after_name, after;
  bool json_name = true;
};

Form form_of(const Resident& model, const Json& tools) {
  const std::string text = sample(model, tools);
  const auto holds = [&](std::string_view part) { return text.find(part) != std::string::npos; };
  Form form;
  if (holds("<｜tool▁call▁begin｜>")) {
    const bool typed = holds("```json");  // V3 and R1; V3.1 writes the name at once
    const std::string begin = std::string("<｜tool▁call▁begin｜>") + (typed ? "function<｜tool▁sep｜>" : "");
    form.calls = {.begin = "<｜tool▁calls▁begin｜>" + begin, .next = "<｜tool▁call▁end｜>" + std::string(typed ? "\n" : "") + begin, .close = "<｜tool▁call▁end｜><｜tool▁calls▁end｜>", .any = {}};
    form.after_name = typed ? "\n```json\n" : "<｜tool▁sep｜>";
    form.after = typed ? "\n```" : "";
    form.json_name = false;
    return form;
  }
  const bool json = holds(std::string("\"") + kSampleName + "\"");
  if (json) {
    form.before_name = "{\"name\": ";
    form.after_name = holds("\"parameters\"") ? ", \"parameters\": " : ", \"arguments\": ";
    form.after = "}";
  }
  if (json && holds("<tool_call>")) {
    form.calls = {.begin = "<tool_call>\n", .next = "\n</tool_call>\n<tool_call>\n", .close = "\n</tool_call>", .any = {}};
    return form;
  }
  if (json && !holds("<function=")) return form;
  throw Error(ErrorCode::kUnsupported, "tool_choice", fmt::format("a call of {} cannot be forced: the form in which its template writes calls is not known", model.entry.name), "use auto or none");
}

}  // namespace

Json ToolChoice::allowed(const Json& tools, const std::string& where) const {
  for (const std::string& name : names)
    if (tools.is_null() || std::none_of(tools.begin(), tools.end(), [&](const Json& tool) { return tool_name(tool) == name; })) throw Error(ErrorCode::kInvalidInput, where, fmt::format("there is no tool {}", name), "name one of tools");
  if (required && tools.is_null()) throw Error(ErrorCode::kInvalidInput, where, "asks for a call where there are no tools", "give tools");
  if (names.empty()) return tools;
  Json some = Json::array();
  for (const Json& tool : tools)
    if (std::find(names.begin(), names.end(), tool_name(tool)) != names.end()) some.push_back(tool);
  return some;
}

ToolChoice read_tool_choice(const Fields& fields, Json& tools) {
  ToolChoice choice;
  choice.parallel = fields.boolean("parallel_tool_calls").value_or(true);
  const Json* asked = fields.find("tool_choice");
  if (!asked || *asked == "auto") return choice;
  if (*asked == "none") {
    tools = nullptr;
    return choice;
  }
  if (*asked == "required" || *asked == "any") {
    choice.required = true;
  } else {
    const Fields inner(*asked, "tool_choice");
    const std::string type = inner.string("type", 64).value_or("");
    if (type == "function") {
      choice.required = true;
      choice.parallel = false;
      choice.names = {named(*asked, "tool_choice")};
    } else if (type == "allowed_tools") {
      const Json* nested = inner.object("allowed_tools");
      const Fields allowed(nested ? *nested : *asked, nested ? "tool_choice.allowed_tools" : "tool_choice");
      const std::string mode = allowed.string("mode", 64).value_or("auto");
      if (mode != "auto" && mode != "required") allowed.refuse("mode", "auto or required");
      choice.required = mode == "required";
      const Json* list = allowed.array("tools", 128);
      if (!list || list->empty()) throw Error(ErrorCode::kInvalidInput, allowed.path("tools"), "expected a list of tools");
      for (const Json& one : *list) choice.names.push_back(named(one, allowed.path("tools")));
    } else {
      inner.has("type") ? inner.refuse("type", "function or allowed_tools") : throw Error(ErrorCode::kInvalidInput, "tool_choice", "expected none, auto, required, or a function");
    }
  }
  tools = choice.allowed(tools, "tool_choice");
  return choice;
}

std::shared_ptr<infer::TokenFilter> call_filter(const Resident& model, const Json& tools, const ToolChoice& choice) {
  Form form = form_of(model, tools);
  form.calls.most = choice.parallel ? kMaxCalls : 1;
  for (size_t i = 0; i < tools.size(); ++i) {
    const Json& function = tools[i]["function"];
    const std::string name = tool_name(tools[i]);
    Schema::Call call;
    call.before = form.before_name + (form.json_name ? dump(Json(name)) : name) + form.after_name;
    if (const auto schema = function.find("parameters"); schema != function.end() && !schema->is_null()) call.schema = *schema;
    call.where = fmt::format("tools[{}].function.parameters", i);
    call.after = form.after;
    form.calls.any.push_back(std::move(call));
  }
  JsonFilter::Marks marks;
  for (const char* mark : {"<tool_call>", "</tool_call>", "<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>"})
    if (const auto id = model.files.tokenizer.token_id(mark)) marks.emplace_back(*id, mark);
  std::string key = fmt::format("calls {} ", form.calls.most) + dump(tools);
  for (const std::string* part : {&form.before_name, &form.after_name, &form.after, &form.calls.begin}) key += "\n" + *part;
  auto schema = model.base->schemas.get(key, [&] { return Schema::of_calls(form.calls); });
  return std::make_shared<JsonFilter>(model.token_table(), std::move(schema), model.files.stop_ids, std::move(marks));
}

}  // namespace hone::serve

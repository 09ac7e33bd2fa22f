// What the store reads: manifests, config blobs, Modelfiles, names of models, addresses. What is read can be written and read again.
#include <algorithm>

#include "base/json_file.h"
#include "fuzz/target.h"
#include "store/manifest.h"
#include "store/modelfile.h"
#include "store/name.h"
#include "store/url.h"

namespace hone::fuzz {
namespace {

void names(std::string_view text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  if (const auto name = store::try_name(line)) {
    hold(store::parse_name(name->full()) == *name && store::parse_name(name->shortest()) == *name, "a name can be written and read again");
    const auto path = name->path();
    for (const auto& step : path) hold(step != ".." && step != "." && step.string().find('/') == std::string::npos, "the parts of a name are file names");
    hold(std::distance(path.begin(), path.end()) == 4, "a name is four folders deep");
    store::published_name(*name);
  }
  part([&] {
    const store::Url url = store::parse_url(line);
    hold(store::parse_url(url.text()).text() == url.text(), "an address can be written and read again");
    store::resolve(url, text.size() > line.size() ? text.substr(line.size() + 1) : "../x?y");
  });
  store::url_encoded(line, /*keep_slashes=*/true);
}

void modelfile(std::string_view text) {
  const store::Modelfile file = store::parse_modelfile(text, "Modelfile");
  const store::Modelfile again = store::parse_modelfile(store::to_text(file), "Modelfile");
  hold(file.from == again.from && file.adapters == again.adapters && file.chat_template == again.chat_template && file.system == again.system && file.licenses == again.licenses && file.parameters == again.parameters &&
           std::equal(file.messages.begin(), file.messages.end(), again.messages.begin(), again.messages.end(), [](const auto& a, const auto& b) { return a.role == b.role && a.content == b.content; }),
       "a Modelfile can be written and read again");
}

void manifest(std::string_view text) {
  const store::Manifest read = store::parse_manifest(text, "manifest"), again = store::parse_manifest(store::to_json(read), "manifest");
  hold(read.size() == again.size() && read.blobs().size() == again.blobs().size(), "a manifest can be written and read again");
}

void run_store(const uint8_t* data, size_t size) {
  const std::string_view text = text_of(data, size);
  const bool taken = part([&] { modelfile(text); });
  part([&] { names(text); });
  part([&] { store::parse_facts(text, "config"); });
  if (!part([&] { manifest(text); }) && !taken) throw Error(ErrorCode::kInvalidInput, "input", "is neither a Modelfile nor a manifest");
}

const Registered registered_store({"store", run_store, 2000,
                             {"FROM ", "ADAPTER ", "PARAMETER ", "TEMPLATE ", "SYSTEM ", "MESSAGE ", "LICENSE ", "SYSTEM= \"", "\\n", "\\\"", "\"\"\"", "\"\"\"\n", "\r", "\xff\xfe", "\xfe\xff", "\"", "#", "stop ", "temperature ", "num_ctx ", "mirostat ", "penalize_newline true", "user ", "assistant ", "system ", "\n", "\r\n",
                              "registry.ollama.ai/", "library/", ":latest", "https://", "http://", "hf.co/", "huggingface.co/", "@", "..", "//", "/", "?", "#x", "[::1]", ":5000", "\"config\"", "\"layers\"", "\"digest\"", "\"mediaType\"", "\"size\"",
                              "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "\"manifests\"", "\"model_families\"", "\"schemaVersion\""},
                             {}});

}  // namespace
}  // namespace hone::fuzz

#include "recipes/tuned_system.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "io/atomic_file.h"
#include "text/unicode.h"

namespace hone::recipes {
namespace {

constexpr const char* kSystemFile = "system.txt";
constexpr size_t kShownSystem = 60;  // bytes

}  // namespace

std::optional<std::string> shared_text(const std::optional<data::SharedSystem>& shared) {
  return shared && shared->share >= kSharedBy ? std::optional(shared->text) : std::nullopt;
}

void write_tuned_system(const std::filesystem::path& folder, const std::optional<std::string>& system) {
  if (system) io::write_file(folder / kSystemFile, *system);
}

std::optional<std::string> tuned_system(const std::filesystem::path& tuned) {
  const std::filesystem::path file = tuned / kSystemFile;
  if (tuned.empty() || !std::filesystem::is_regular_file(file)) return std::nullopt;
  std::string text = read_file(file);
  if (!text::utf8_valid(text)) throw Error(ErrorCode::kInvalidInput, file.string(), "is not UTF-8", "correct the file, or remove it: the system message of the training rows is then not known");
  if (text.empty()) return std::nullopt;
  return text;
}

std::string quoted_beginning(const std::string& system) {
  std::string line;
  for (const char c : system) line += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? ' ' : c;  // nothing that steers a terminal
  size_t end = std::min(line.size(), kShownSystem);
  while (end < line.size() && end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0) == 0x80) --end;
  return fmt::format("\"{}{}\"", line.substr(0, end), end < line.size() ? " …" : "");
}

}  // namespace hone::recipes

#include "apps/line_editor.h"

#include <fcntl.h>
#include <histedit.h>
#include <langinfo.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstring>
#include <cwchar>
#include <string_view>

namespace hone::apps {
namespace {

constexpr int kRemembered = 1000;
// Terminals put these around what is pasted, once they are asked to.
constexpr std::string_view kPasteBegins = "\033[200~", kPasteEnds = "\033[201~", kAskForThem = "\033[?2004h", kNoMore = "\033[?2004l";
// Stands for a line break inside pasted text while the line is edited.
constexpr wchar_t kBreak = L'\u240A';
constexpr std::string_view kBreakBytes = "\xE2\x90\x8A";

}  // namespace

struct LineEditor::Impl {
  EditLine* editor = nullptr;
  History* history = nullptr;
  std::filesystem::path file;
  std::function<bool()> stop;
  const char* prompt = "";
  std::string bytes;  // received and not yet taken
  bool pasting = false, pasted = false, interrupted = false;

  // More bytes; false at the end, or when it is to stop. Asks for that itself: a signal may come just before the system waits.
  bool receive() {
    for (;;) {
      if (stop()) {
        interrupted = true;
        return false;
      }
      pollfd input{STDIN_FILENO, POLLIN, 0};
      const int ready = ::poll(&input, 1, 50);
      if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
      char piece[4096];
      const ssize_t n = ready < 0 ? -1 : ::read(STDIN_FILENO, piece, sizeof piece);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      bytes.append(piece, static_cast<size_t>(n));
      return true;
    }
  }

  // Whether the bytes begin with `mark`, which is then taken away; waits a moment for a mark that is still on its way.
  bool take(std::string_view mark) {
    while (bytes.size() < mark.size() && mark.starts_with(bytes)) {
      pollfd input{STDIN_FILENO, POLLIN, 0};
      if (::poll(&input, 1, 30) != 1 || !receive()) return false;
    }
    if (!bytes.starts_with(mark)) return false;
    bytes.erase(0, mark.size());
    return true;
  }

  int next(wchar_t* out) {
    for (;;) {
      if (bytes.empty() && !receive()) return interrupted ? -1 : 0;
      if (bytes[0] == '\033' && take(kPasteBegins)) pasting = pasted = true;
      else if (pasting && bytes[0] == '\033' && take(kPasteEnds)) pasting = false;
      else if (bytes.empty()) continue;
      else break;
    }
    if (pasting && (bytes[0] == '\r' || bytes[0] == '\n')) {
      bytes.erase(0, bytes.starts_with("\r\n") ? 2 : 1);
      *out = kBreak;
      return 1;
    }
    std::mbstate_t state{};
    for (;;) {
      const size_t size = std::mbrtowc(out, bytes.data(), bytes.size(), &state);
      if (size == static_cast<size_t>(-2)) {  // a character that is not there whole
        state = {};
        if (!receive()) return interrupted ? -1 : 0;
        continue;
      }
      if (size == static_cast<size_t>(-1)) *out = L'\uFFFD';
      bytes.erase(0, size == 0 || size == static_cast<size_t>(-1) ? 1 : size);
      return 1;
    }
  }
};

LineEditor::LineEditor(std::filesystem::path history, std::function<bool()> stop) : impl_(std::make_unique<Impl>()) {
  std::setlocale(LC_CTYPE, "");
  if (std::strcmp(nl_langinfo(CODESET), "UTF-8") != 0) std::setlocale(LC_CTYPE, "C.UTF-8");
  Impl& i = *impl_;
  i.file = std::move(history);
  i.stop = std::move(stop);
  i.editor = el_init("hone", stdin, stdout, stderr);
  el_set(i.editor, EL_CLIENTDATA, &i);
  el_set(i.editor, EL_PROMPT, +[](EditLine* editor) -> char* {
    void* data = nullptr;
    el_get(editor, EL_CLIENTDATA, &data);
    return const_cast<char*>(static_cast<Impl*>(data)->prompt);
  });
  el_wset(i.editor, EL_GETCFN, +[](EditLine* editor, wchar_t* out) -> int {
    void* data = nullptr;
    el_get(editor, EL_CLIENTDATA, &data);
    return static_cast<Impl*>(data)->next(out);
  });
  el_set(i.editor, EL_EDITOR, "emacs");
  el_set(i.editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);
  i.history = history_init();
  HistEvent event;
  ::history(i.history, &event, H_SETSIZE, kRemembered);
  ::history(i.history, &event, H_SETUNIQUE, 1);
  el_set(i.editor, EL_HIST, ::history, i.history);
  if (i.file.empty()) return;
  std::error_code ignored;
  std::filesystem::create_directories(i.file.parent_path(), ignored);
  if (const int fd = ::open(i.file.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0600); fd >= 0) ::close(fd);
  ::history(i.history, &event, H_LOAD, i.file.c_str());
}

LineEditor::~LineEditor() {
  history_end(impl_->history);
  el_end(impl_->editor);
}

LineEditor::Outcome LineEditor::read(const char* prompt, std::string& line) {
  Impl& i = *impl_;
  i.prompt = prompt;
  i.pasting = i.pasted = i.interrupted = false;
  el_set(i.editor, EL_PREP_TERM, 1);  // before the prompt is seen, so that nothing typed then is shown twice
  std::fwrite(kAskForThem.data(), 1, kAskForThem.size(), stdout);
  std::fflush(stdout);
  int count = 0;
  const char* read = el_gets(i.editor, &count);
  std::fwrite(kNoMore.data(), 1, kNoMore.size(), stdout);
  if (!read || count <= 0) {
    std::fputc('\n', stdout);
    std::fflush(stdout);
    i.bytes.clear();
    return i.interrupted ? Outcome::kInterrupted : Outcome::kEnd;
  }
  std::fflush(stdout);
  line.assign(read, static_cast<size_t>(count));
  while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
  for (size_t at = 0; i.pasted && (at = line.find(kBreakBytes, at)) != std::string::npos; ++at) line.replace(at, kBreakBytes.size(), "\n");
  return Outcome::kLine;
}

void LineEditor::remember(const std::string& line) {
  if (line.find_first_not_of(" \t\n") == std::string::npos) return;
  HistEvent event;
  ::history(impl_->history, &event, H_ENTER, line.c_str());
  if (!impl_->file.empty()) ::history(impl_->history, &event, H_SAVE, impl_->file.c_str());
}

}  // namespace hone::apps

// hone_fuzz TARGET|all [--seed N] [--runs N | --seconds S] [--failures N] [--out FOLDER] [FILE…]: gives targets inputs like their seeds,
// or the given files. Inputs run in a child process; one that ends it, or takes too long, is written to a file.
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <memory>

#include "base/file.h"
#include "fuzz/mutate.h"
#include "fuzz/target.h"
#include "io/atomic_file.h"

#if defined(__has_feature)  // clang's way to say it
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1:max_allocation_size_mb=2048:hard_rss_limit_mb=4096:detect_leaks=0"; }
#else
constexpr bool kSanitized = false;
#endif

namespace {

namespace fs = std::filesystem;
using namespace hone::fuzz;

constexpr int kProcessorSeconds = kSanitized ? 40 : 10;  // for one input
constexpr int kIdleSeconds = 300;                        // without an input coming to its end: a lock that nobody opens
constexpr rlim_t kMemory = rlim_t{4} << 30;
constexpr int kRefusedExit = 70;  // of the child: an exception passed through

struct Options {
  std::string target;
  uint64_t seed = 1, runs = 0;
  double seconds = 0;
  int failures = 1;
  fs::path out = fs::temp_directory_path();
  std::vector<std::string> files;
};

// What child and parent both see.
struct Progress {
  uint64_t index, taken, refused;
  bool finished;
  char what[1000];
};

std::vector<std::string> seeds_of(const Target& target) {
  std::vector<fs::path> paths;
  const fs::path folder = fs::path(HONE_FUZZ_CORPUS) / target.name;
  if (fs::is_directory(folder))
    for (const auto& entry : fs::directory_iterator(folder)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> seeds;
  for (const fs::path& path : paths) seeds.push_back(hone::read_file(path));
  for (const std::string& name : target.goldens) seeds.push_back(golden(name));
  if (seeds.empty()) throw hone::Error(hone::ErrorCode::kNotFound, folder.string(), "there are no seeds");
  return seeds;
}

void arm(int seconds) {
  const itimerval timer{{0, 0}, {seconds, 0}};
  ::setitimer(ITIMER_PROF, &timer, nullptr);
}

// The inputs from progress->index on; ends the child.
template <class Input>
[[noreturn]] void work(const Target& target, const Options& options, uint64_t count, Progress* progress, const Input& input) {
  ::signal(SIGPROF, SIG_DFL);
  const rlimit no_core{0, 0}, memory{kMemory, kMemory};
  ::setrlimit(RLIMIT_CORE, &no_core);
  if (!kSanitized) ::setrlimit(RLIMIT_AS, &memory);
  const auto start = std::chrono::steady_clock::now();
  for (; progress->index < count; ++progress->index) {
    if (options.seconds > 0 && std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() > options.seconds) break;
    const std::string bytes = input(progress->index);
    // A block of exactly its size: a read past the end is seen.
    const auto exact = std::make_unique<char[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), exact.get());
    arm(kProcessorSeconds);
    try {
      ++(examine(target, {exact.get(), bytes.size()}) ? progress->taken : progress->refused);
    } catch (const std::exception& error) {
      std::strncpy(progress->what, error.what(), sizeof progress->what - 1);
      ::_exit(kRefusedExit);
    }
  }
  progress->finished = true;
  ::_exit(0);
}

std::string outcome(int status, const Progress& progress) {
  if (WIFEXITED(status)) return WEXITSTATUS(status) == kRefusedExit ? fmt::format("throws: {}", progress.what) : fmt::format("ends the process with code {}", WEXITSTATUS(status));
  if (WTERMSIG(status) == SIGPROF) return fmt::format("takes more than {} s of processor time", kProcessorSeconds);
  return fmt::format("ends the process by signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
}

// Waits for the child; kills it when no input comes to its end for too long.
int wait_for(pid_t child, const Progress* progress) {
  uint64_t seen = progress->index;
  auto since = std::chrono::steady_clock::now();
  for (int status = 0;;) {
    if (::waitpid(child, &status, WNOHANG) == child) return status;
    ::usleep(5000);
    const auto now = std::chrono::steady_clock::now();
    if (const uint64_t index = reinterpret_cast<const volatile uint64_t&>(progress->index); index != seen) {
      seen = index;
      since = now;
    } else if (now - since > std::chrono::seconds(kIdleSeconds)) {
      ::kill(child, SIGKILL);
    }
  }
}

// The number of failures.
int run(const Target& target, const Options& options) {
  std::vector<std::string> seeds;
  if (options.files.empty()) seeds = seeds_of(target);
  const uint64_t count = !options.files.empty() ? options.files.size() : options.runs > 0 ? options.runs : options.seconds > 0 ? UINT64_MAX : seeds.size() + static_cast<uint64_t>(target.runs);
  const auto input = [&](uint64_t index) { return options.files.empty() ? input_at(options.seed, index, seeds, target.dictionary) : hone::read_file(options.files[index]); };
  void* shared = ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) throw std::bad_alloc();
  auto* progress = new (shared) Progress{};
  int failures = 0;
  const auto start = std::chrono::steady_clock::now();
  while (!progress->finished && failures < options.failures) {
    std::cout.flush();
    const pid_t child = ::fork();
    if (child < 0) throw hone::Error(hone::ErrorCode::kIo, "fork", std::strerror(errno));
    if (child == 0) work(target, options, count, progress, input);
    const int status = wait_for(child, progress);
    if (progress->finished) break;
    ++failures;
    std::string repeat;
    if (options.files.empty()) {
      const fs::path file = options.out / fmt::format("{}-{}-{}", target.name, options.seed, progress->index);
      hone::io::write_file(file, input(progress->index));
      repeat = file.string();
    } else {
      repeat = options.files[progress->index];
    }
    std::cout << fmt::format("{}: an input {}\n  to repeat: hone_fuzz {} {}\n", target.name, outcome(status, *progress), target.name, repeat);
    ++progress->index;
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::cout << fmt::format("{}: {} inputs taken, {} refused, {} failures in {:.1f} s\n", target.name, progress->taken, progress->refused, failures, seconds);
  if (options.files.empty() && failures == 0 && progress->taken == 0) {
    std::cout << fmt::format("{}: no input was taken, so nothing behind its first check was tried\n", target.name);
    ++failures;
  }
  ::munmap(shared, sizeof(Progress));
  return failures;
}

template <class Number>
Number number(const std::string& word, const std::string& option) {
  Number value{};
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size()) throw hone::Error(hone::ErrorCode::kInvalidInput, option, fmt::format("expected a number, found '{}'", word));
  return value;
}

Options read_options(const std::vector<std::string>& words) {
  Options options;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const auto value = [&] {
      if (i + 1 == words.size()) throw hone::Error(hone::ErrorCode::kInvalidInput, word, "expected a value");
      return words[++i];
    };
    if (word == "--seed") options.seed = number<uint64_t>(value(), word);
    else if (word == "--runs") options.runs = number<uint64_t>(value(), word);
    else if (word == "--seconds") options.seconds = number<double>(value(), word);
    else if (word == "--failures") options.failures = number<int>(value(), word);
    else if (word == "--out") options.out = value();
    else if (word.starts_with("--")) throw hone::Error(hone::ErrorCode::kInvalidInput, word, "unknown option");
    else if (options.target.empty()) options.target = word;
    else options.files.push_back(word);
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Options options = read_options({argv + 1, argv + argc});
    std::vector<std::string> names;
    int failures = 0;
    for (const Target& target : targets()) {
      names.push_back(target.name);
      if (options.target == target.name || options.target == "all") failures += run(target, options);
    }
    if (options.target != "all" && std::find(names.begin(), names.end(), options.target) == names.end())
      throw hone::Error(hone::ErrorCode::kInvalidInput, "hone_fuzz", fmt::format("expected a target, found '{}'", options.target), fmt::format("all, {}", fmt::join(names, ", ")));
    return failures > 0 ? 1 : 0;
  } catch (const hone::Error& error) {
    std::cerr << error.what() << '\n';
    return error.exit_code();
  }
}

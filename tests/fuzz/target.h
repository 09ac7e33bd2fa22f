// What a fuzz target is: a function that reads untrusted bytes, and what helps to make such bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace hone::fuzz {

struct Target {
  std::string name;                     // of its file, and of its folder in tests/fuzz/corpus/
  void (*run)(const uint8_t* data, size_t size) = nullptr;  // may throw hone::Error, but kInternal, and nothing else
  int runs = 1000;                      // mutated inputs of its test
  std::vector<std::string> dictionary;  // words that its inputs are made of
  std::vector<std::string> goldens;     // further seeds, below tests/golden/
};

/// Makes a target known: one object per file, at namespace scope.
struct Registered {
  explicit Registered(Target target);
};
/// All of the program, by name.
const std::vector<Target>& targets();

/// Gives `bytes` to a target. True: taken; false: refused by a hone::Error. Everything else that is thrown, kInternal included,
/// is a bug, and passes through.
bool examine(const Target& target, std::string_view bytes);

/// Runs one part of a target, whose refusal does not end the others. True: taken.
bool part(const std::function<void()>& work);
/// A property that must hold of every input; throws std::logic_error.
void hold(bool condition, const char* property);

inline std::string_view text_of(const uint8_t* data, size_t size) { return {reinterpret_cast<const char*>(data), size}; }

/// Bytes as a file in memory, for readers that want a path.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const;

 private:
  int fd_;
};

/// The whole file tests/golden/NAME.
std::string golden(const std::string& name);

}  // namespace hone::fuzz

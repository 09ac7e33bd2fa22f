#include "fuzz/target.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

#include "base/file.h"

namespace hone::fuzz {
namespace {

std::vector<Target>& known() {
  static std::vector<Target> list;
  return list;
}

}  // namespace

Registered::Registered(Target target) {
  auto& list = known();
  list.insert(std::upper_bound(list.begin(), list.end(), target, [](const Target& a, const Target& b) { return a.name < b.name; }), std::move(target));
}

const std::vector<Target>& targets() { return known(); }

bool examine(const Target& target, std::string_view bytes) {
  try {
    target.run(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInternal) throw;
    return false;
  }
}

bool part(const std::function<void()>& work) {
  try {
    work();
    return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInternal) throw;
    return false;
  }
}

void hold(bool condition, const char* property) {
  if (!condition) throw std::logic_error(std::string("does not hold: ") + property);
}

MemoryFile::MemoryFile(std::string_view bytes) : fd_(::memfd_create("input", MFD_CLOEXEC)) {
  if (fd_ < 0 || ::write(fd_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) throw std::runtime_error("cannot make a file in memory");
}
MemoryFile::~MemoryFile() { ::close(fd_); }
std::string MemoryFile::path() const { return fmt::format("/proc/self/fd/{}", fd_); }

std::string golden(const std::string& name) { return read_file(std::string(HONE_GOLDEN_DIR) + "/" + name); }

}  // namespace hone::fuzz

// Preloaded into hone by the checks: counts the calls that change the file system and, at the n-th, ends the process
// (HONE_FAULT=kill:n, as kill -9 would) or lets the disk be full from there on (HONE_FAULT=full:n). HONE_FAULT=count:0 only
// counts. The count goes to the file HONE_FAULT_COUNT when the process ends.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

std::atomic<long> calls{0};

struct Plan {
  bool kill = false, full = false;
  long at = 0;
  Plan() {
    const char* text = std::getenv("HONE_FAULT");
    if (!text) return;
    kill = std::strncmp(text, "kill:", 5) == 0;
    full = std::strncmp(text, "full:", 5) == 0;
    if (const char* colon = std::strchr(text, ':')) at = std::strtol(colon + 1, nullptr, 10);
  }
  ~Plan() {
    const char* path = std::getenv("HONE_FAULT_COUNT");
    if (!path) return;
    if (std::FILE* file = std::fopen(path, "w")) {
      std::fprintf(file, "%ld\n", calls.load());
      std::fclose(file);
    }
  }
};
Plan plan;

// True when the call that is about to be made must fail for want of space. Calls that only free or move are never refused.
bool refused(bool takes_space) {
  const long call = ++calls;
  if (plan.kill && call == plan.at) std::raise(SIGKILL);
  if (!plan.full || call < plan.at || !takes_space) return false;
  errno = ENOSPC;
  return true;
}

template <class Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

#define FORWARD(name, ...)                                           \
  static const auto real = next<decltype(&::name)>(#name);           \
  return real(__VA_ARGS__)

extern "C" {

ssize_t write(int fd, const void* data, size_t bytes) {
  if (fd > 2 && refused(true)) return -1;
  FORWARD(write, fd, data, bytes);
}
ssize_t pwrite(int fd, const void* data, size_t bytes, off_t at) {
  if (refused(true)) return -1;
  FORWARD(pwrite, fd, data, bytes, at);
}
ssize_t pwrite64(int fd, const void* data, size_t bytes, off64_t at) {
  if (refused(true)) return -1;
  FORWARD(pwrite64, fd, data, bytes, at);
}
int fallocate(int fd, int mode, off_t at, off_t bytes) {
  if (refused(true)) return -1;
  FORWARD(fallocate, fd, mode, at, bytes);
}
int fsync(int fd) {
  if (refused(true)) return -1;
  FORWARD(fsync, fd);
}
int fdatasync(int fd) {
  if (refused(true)) return -1;
  FORWARD(fdatasync, fd);
}
int mkdir(const char* path, mode_t mode) {
  if (refused(true)) return -1;
  FORWARD(mkdir, path, mode);
}
int rename(const char* from, const char* to) {
  refused(false);
  FORWARD(rename, from, to);
}
int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned int flags) {
  refused(false);
  FORWARD(renameat2, from_folder, from, to_folder, to, flags);
}
int unlink(const char* path) {
  refused(false);
  FORWARD(unlink, path);
}
int unlinkat(int folder, const char* path, int flags) {
  refused(false);
  FORWARD(unlinkat, folder, path, flags);
}
int remove(const char* path) {
  refused(false);
  FORWARD(remove, path);
}
// open and open64 differ by name alone.
#define OPEN(name)                                             \
  int name(const char* path, int flags, ...) {                 \
    mode_t mode = 0;                                           \
    if (flags & O_CREAT) {                                     \
      va_list list;                                            \
      va_start(list, flags);                                   \
      mode = va_arg(list, mode_t);                             \
      va_end(list);                                            \
      if (refused(access(path, F_OK) != 0)) return -1;         \
    }                                                          \
    FORWARD(name, path, flags, mode);                          \
  }
OPEN(open)
OPEN(open64)
#undef OPEN

}  // extern "C"

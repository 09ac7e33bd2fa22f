#include "base/cpu_features.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "base/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace hone {
namespace {

struct Level {
  Isa isa;
  std::string_view name;
};
constexpr Level kLevels[] = {{Isa::kScalar, "scalar"},         {Isa::kAvx2, "avx2"}, {Isa::kAvx512, "avx512"},
                             {Isa::kAvx512Bf16, "avx512bf16"}, {Isa::kAmx, "amx"},   {Isa::kNeon, "neon"}};

#if defined(__x86_64__)
// Asked of the processor itself: clang 16 does not know the name "f16c". The operating system's part is that of AVX2.
bool has_f16c() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
}
#endif

bool supported(Isa isa) {
  switch (isa) {
    case Isa::kScalar: return true;
#if defined(__x86_64__)
    case Isa::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
    case Isa::kAvx512:
      return supported(Isa::kAvx2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    case Isa::kAvx512Bf16:
      return supported(Isa::kAvx512) && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni") &&
             __builtin_cpu_supports("avx512vbmi");
#endif
    default: return false;
  }
}

}  // namespace

std::string_view name(Isa isa) {
  for (const Level& level : kLevels)
    if (level.isa == isa) return level.name;
  return "unknown";
}

const std::vector<Isa>& available_isas() {
  static const std::vector<Isa> isas = [] {
    std::vector<Isa> found;
    for (const Level& level : kLevels)
      if (supported(level.isa)) found.push_back(level.isa);
    return found;
  }();
  return isas;
}

Isa selected_isa() {
  const char* forced = std::getenv("HONE_FORCE_ISA");
  if (!forced || !*forced) return available_isas().back();
  std::string names;
  for (Isa isa : available_isas()) {
    if (name(isa) == forced) return isa;
    names += (names.empty() ? "" : ", ") + std::string(name(isa));
  }
  const bool known = std::any_of(std::begin(kLevels), std::end(kLevels), [&](auto& l) { return l.name == forced; });
  throw Error(ErrorCode::kInvalidInput, "HONE_FORCE_ISA",
              fmt::format("\"{}\" is {}", forced, known ? "not available on this processor" : "not an instruction set"),
              "this processor can run: " + names);
}

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.rfind("model name", 0) == 0) {
      const size_t colon = line.find(": ");
      if (colon != std::string::npos) return line.substr(colon + 2);
    }
  return "unknown";
}

}  // namespace hone

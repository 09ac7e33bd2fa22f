#include "kernels/peak.h"

#include <algorithm>
#include <chrono>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace hone::kernels {
namespace {

constexpr int64_t kRounds = 200000;

#if defined(__x86_64__)
// Twelve independent chains: more than latency (4 to 6) × issue width (1 or 2). The empty asm keeps each in its register.
#define HONE_CHAINS(step) step(0) step(1) step(2) step(3) step(4) step(5) step(6) step(7) step(8) step(9) step(10) step(11)

__attribute__((target("avx2,fma"))) void f32_256() {
  __m256 c[12] = {}, x = _mm256_setzero_ps();
  for (int64_t i = 0; i < kRounds; ++i) {
#define HONE_STEP(n) c[n] = _mm256_fmadd_ps(x, x, c[n]); __asm__ volatile("" : "+x"(c[n]));
    HONE_CHAINS(HONE_STEP)
#undef HONE_STEP
  }
}
__attribute__((target("avx512f"))) void f32_512() {
  __m512 c[12] = {}, x = _mm512_setzero_ps();
  for (int64_t i = 0; i < kRounds; ++i) {
#define HONE_STEP(n) c[n] = _mm512_fmadd_ps(x, x, c[n]); __asm__ volatile("" : "+v"(c[n]));
    HONE_CHAINS(HONE_STEP)
#undef HONE_STEP
  }
}
__attribute__((target("avx512f,avx512bf16"))) void bf16_512() {
  __m512 c[12] = {};
  __m512bh x = reinterpret_cast<__m512bh>(_mm512_setzero_ps());
  for (int64_t i = 0; i < kRounds; ++i) {
#define HONE_STEP(n) c[n] = _mm512_dpbf16_ps(c[n], x, x); __asm__ volatile("" : "+v"(c[n]));
    HONE_CHAINS(HONE_STEP)
#undef HONE_STEP
  }
}
__attribute__((target("avx512f,avx512vnni"))) void int8_512() {
  __m512i c[12] = {}, x = _mm512_setzero_si512();
  for (int64_t i = 0; i < kRounds; ++i) {
#define HONE_STEP(n) __asm__ volatile("vpdpbusd %1, %1, %0" : "+v"(c[n]) : "v"(x));
    HONE_CHAINS(HONE_STEP)
#undef HONE_STEP
  }
}
#endif

}  // namespace

double peak_gflops(Isa isa, Precision precision, ThreadPool& pool) {
  void (*loop)() = nullptr;
  double lanes = 0;
#if defined(__x86_64__)
  if (isa == Isa::kAvx2 && precision == Precision::kF32) loop = f32_256, lanes = 8;
  if (isa >= Isa::kAvx512 && isa <= Isa::kAmx && precision == Precision::kF32) loop = f32_512, lanes = 16;
  if (isa >= Isa::kAvx512Bf16 && isa <= Isa::kAmx && precision == Precision::kBF16) loop = bf16_512, lanes = 32;
  if (isa >= Isa::kAvx512Bf16 && isa <= Isa::kAmx && precision == Precision::kInt8) loop = int8_512, lanes = 64;
#endif
  if (!loop) return 0;
  double best = 0;
  for (int run = 0; run < 20; ++run) {
    const int64_t tasks = 4 * pool.size();
    const auto begin = std::chrono::steady_clock::now();
    pool.run(tasks, [&](int64_t, int) { loop(); });
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    best = std::max(best, 2 * 12 * lanes * static_cast<double>(kRounds * tasks) / seconds * 1e-9);
  }
  return best;
}

}  // namespace hone::kernels

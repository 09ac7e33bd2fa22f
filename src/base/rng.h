// Counter-based random numbers: the value at (seed, stream, step, index) never depends on what was drawn before, so any
// thread can draw any element and a resumed run draws the same ones.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace hone {

/// Philox-4x32 with 10 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
inline std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * counter[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(p1),
               static_cast<uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(p0)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

/// One random stream. `stream` names the purpose (see the constants), `step` the optimizer step or epoch.
struct Rng {
  uint64_t seed = 0;
  uint32_t stream = 0;
  uint32_t step = 0;

  static constexpr uint32_t kInit = 1, kShuffle = 2, kSplit = 3, kDropout = 4, kSample = 5, kMix = 6, kBootstrap = 20, kSwap = 21;

  std::array<uint32_t, 4> block(uint64_t index) const {
    return philox({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), step, stream},
                  {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  }
  uint32_t bits(uint64_t index) const { return block(index / 4)[index % 4]; }
  uint64_t bits64(uint64_t index) const {
    const auto b = block(index);
    return uint64_t{b[0]} << 32 | b[1];
  }
  /// Uniform in [0, 1) with 24 bits.
  float uniform(uint64_t index) const { return static_cast<float>(bits(index) >> 8) * 0x1p-24f; }
  /// Uniform integer in [0, n), n ≥ 1 (multiply-shift; bias below n / 2^64).
  uint64_t below(uint64_t index, uint64_t n) const {
    __extension__ using Wide = unsigned __int128;
    return static_cast<uint64_t>((static_cast<Wide>(bits64(index)) * n) >> 64);
  }
  /// Standard normal (Box–Muller on one block).
  float normal(uint64_t index) const {
    const auto b = block(index);
    const double u = (b[0] + 0.5) * 0x1p-32, v = (b[1] + 0.5) * 0x1p-32;
    return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * v));
  }
};

}  // namespace hone

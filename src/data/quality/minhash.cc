#include "data/quality/minhash.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>

namespace hone::data {
namespace {

constexpr size_t kShingleBytes = 6;
// Every shingle is hashed so many times, as if the set held it in so many versions: short texts then fill most bins, and J is
// the same.
constexpr int kVersions = 4;
constexpr uint64_t kOdd1 = 0x9E3779B97F4A7C15u, kOdd2 = 0xD1B54A32D192ED03u;

// Odd, and without relation to one another.
constexpr std::array<uint64_t, kVersions> kMultipliers = {0x9E3779B97F4A7C15u, 0xBF58476D1CE4E5B9u, 0x94D049BB133111EBu, 0xD6E8FEB86659FD93u};

uint64_t mixed(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// Of `count` ≤ 9 bytes; `left` bytes may be read.
uint64_t shingle_hash(const char* bytes, size_t count, size_t left) {
  uint64_t low = 0, high = count;
  if (left >= 8) {  // one load instead of a copy of changing length
    std::memcpy(&low, bytes, 8);
    if (count < 8) low &= (uint64_t{1} << (8 * count)) - 1;
  } else {
    std::memcpy(&low, bytes, std::min<size_t>(count, 8));
  }
  if (count > 8) high |= uint64_t{static_cast<unsigned char>(bytes[8])} << 8;
  return mixed(mixed(low ^ kOdd1, kOdd2) ^ high, kOdd1);
}

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

template <class Visit>
void each_shingle(std::string_view text, Visit visit) {
  if (text.empty()) return;
  size_t end = 0;
  for (size_t begin = 0; begin < text.size(); ++begin) {
    if (!begins_character(text[begin])) continue;
    end = std::max(end, std::min(begin + kShingleBytes, text.size()));
    while (end < text.size() && !begins_character(text[end])) ++end;
    visit(shingle_hash(text.data() + begin, std::min<size_t>(end - begin, 9), text.size() - begin));
    if (end == text.size()) return;
  }
}

// Sorts numbers that are spread evenly, as hashes are: dealt out by their first bits, then each heap of a few.
void sort_hashes(std::vector<uint64_t>& hashes) {
  const int bits = std::clamp(static_cast<int>(std::bit_width(hashes.size())), 1, 16);
  std::vector<uint32_t> begins((size_t{1} << bits) + 1);
  for (const uint64_t hash : hashes) ++begins[(hash >> (64 - bits)) + 1];
  std::partial_sum(begins.begin(), begins.end(), begins.begin());
  std::vector<uint64_t> dealt(hashes.size());
  std::vector<uint32_t> next(begins.begin(), begins.end() - 1);
  for (const uint64_t hash : hashes) dealt[next[hash >> (64 - bits)]++] = hash;
  for (size_t heap = 0; heap + 1 < begins.size(); ++heap)
    if (begins[heap + 1] - begins[heap] > 1) std::sort(dealt.begin() + begins[heap], dealt.begin() + begins[heap + 1]);
  hashes.swap(dealt);
}

}  // namespace

std::vector<uint64_t> shingles_of(std::string_view normalized) {
  std::vector<uint64_t> shingles;
  shingles.reserve(normalized.size());
  each_shingle(normalized, [&](uint64_t hash) { shingles.push_back(hash); });
  sort_hashes(shingles);
  shingles.erase(std::unique(shingles.begin(), shingles.end()), shingles.end());
  return shingles;
}

Signature signature_of(std::string_view normalized) {
  constexpr uint32_t kEmpty = ~uint32_t{0};
  std::array<uint32_t, kMinHashes> least;
  least.fill(kEmpty);
  each_shingle(normalized, [&](uint64_t hash) {
    // The hash is random already: one product gives a version's bin (its high half) and value (its low half).
    for (int version = 0; version < kVersions; ++version) {
      const uint64_t product = hash * kMultipliers[static_cast<size_t>(version)];
      const auto value = std::min(static_cast<uint32_t>(product ^ hash >> 32), kEmpty - 1);
      uint32_t& bin = least[(product >> 32) * kMinHashes >> 32];
      bin = std::min(bin, value);
    }
  });
  const auto filled = least;
  Signature signature{};
  if (std::all_of(filled.begin(), filled.end(), [](uint32_t v) { return v == kEmpty; })) return signature;
  for (uint64_t i = 0; i < kMinHashes; ++i) {
    // An empty bin borrows from a bin that depends on the two numbers alone: the same one in every text.
    uint64_t from = i;
    for (uint64_t attempt = 1; filled[from] == kEmpty; ++attempt) from = (mixed(i * 0x10001 + attempt + kOdd1, kOdd2) >> 32) * kMinHashes >> 32;
    signature[i] = static_cast<uint8_t>(mixed(filled[from] + kOdd2, kOdd1) >> 56);
  }
  return signature;
}

double jaccard(const std::vector<uint64_t>& a, const std::vector<uint64_t>& b) {
  if (a.empty() || b.empty()) return 0;
  size_t shared = 0;
  for (size_t i = 0, k = 0; i < a.size() && k < b.size();) {
    if (a[i] == b[k]) ++shared, ++i, ++k;
    else if (a[i] < b[k]) ++i;
    else ++k;
  }
  return static_cast<double>(shared) / static_cast<double>(a.size() + b.size() - shared);
}

double similarity(const Signature& a, const Signature& b) {
  int equal = 0;
  for (size_t i = 0; i < kMinHashes; ++i) equal += a[i] == b[i];
  const double share = static_cast<double>(equal) / kMinHashes;
  return std::max(0.0, (share - 1.0 / 256) / (1 - 1.0 / 256));
}

double Banding::meets(double j) const { return 1 - std::pow(1 - std::pow(j, rows), bands); }

Banding Banding::for_threshold(double threshold) {
  Banding best{60, 2};
  for (const int rows : {3, 4, 5, 6, 8, 10, 12}) {
    const Banding banding{kMinHashes / rows, rows};
    if (banding.meets(threshold) >= 0.98) best = banding;
  }
  return best;
}

uint32_t bucket_of(const Signature& signature, const Banding& banding, int band) {
  uint64_t hash = static_cast<uint64_t>(band);
  const auto begin = static_cast<size_t>(band * banding.rows);
  for (size_t i = begin; i < begin + static_cast<size_t>(banding.rows); ++i) hash = mixed(hash ^ signature[i] ^ kOdd1, kOdd2);
  return static_cast<uint32_t>(hash >> 32);
}

}  // namespace hone::data

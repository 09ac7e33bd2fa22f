#include "data/quality/text_vectors.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/function_ref.h"
#include "base/rng.h"
#include "base/thread_pool.h"
#include "data/quality/near_duplicates.h"
#include "data/quality/row_text.h"
#include "text/unicode.h"

namespace hone::data {
namespace {

constexpr int kFirstTerms = 8;
constexpr size_t kVectorsAtOnce = 4096;  // rows whose vectors are made together
constexpr uint64_t kSlots = 1 << 18;  // counters of terms

bool written_without_spaces(uint32_t c) { return (c >= 0x2E80 && c <= 0x9FFF) || (c >= 0xAC00 && c <= 0xD7A3) || (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x20000 && c <= 0x3FFFF); }

}  // namespace

void each_term(std::string_view normalized, const std::function<void(std::string_view, bool)>& visit) {
  int count = 0;
  size_t word = 0, before = std::string_view::npos;  // where the word began; the character before, when it is of the second kind
  const auto finish = [&](size_t end) {
    if (end > word) visit(normalized.substr(word, end - word), count++ < kFirstTerms);
  };
  for (size_t i = 0; i < normalized.size();) {
    const size_t length = std::max<size_t>(1, text::utf8_length(normalized.substr(i)));
    const bool wide = length > 2 && written_without_spaces(text::utf8_code_point(normalized.substr(i)));
    if (wide || normalized[i] == ' ') {
      finish(i);
      if (wide && before != std::string_view::npos) visit(normalized.substr(before, i + length - before), count++ < kFirstTerms);
      word = i + length;
    }
    before = wide ? i : std::string_view::npos;
    i += length;
  }
  finish(normalized.size());
}

void TextVectors::vectors(std::span<const std::string_view> texts, float* out) const {
  const int64_t dim = dimensions();
  ThreadPool::global().ranges(static_cast<int64_t>(texts.size()), 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) vector(texts[static_cast<size_t>(i)], out + i * dim);
  });
}

float TermVectors::rarity(uint64_t hash) const {
  const uint32_t in = documents_.empty() ? 0 : documents_[hash % kSlots];
  if (in <= 1 && sample_size_ > 50) return 0;  // what no other text has brings nothing together
  return std::log((static_cast<float>(sample_size_) + 1) / (static_cast<float>(in) + 1));
}

void TermVectors::fit(const std::vector<std::string>& sample) {
  documents_.assign(kSlots, 0);
  sample_size_ = static_cast<uint32_t>(sample.size());
  std::unordered_set<uint64_t> seen;
  for (const std::string& text : sample) {
    seen.clear();
    each_term(normalized(text), [&](std::string_view term, bool) { seen.insert(row_hash(term, 0) % kSlots); });
    for (const uint64_t slot : seen) ++documents_[slot];
  }
}

void TermVectors::vector(std::string_view text, float* out) const {
  std::fill_n(out, dimensions(), 0.0f);
  std::unordered_map<uint64_t, float> counts;
  each_term(normalized(text), [&](std::string_view term, bool first) { counts[row_hash(term, 0)] += first ? 2.0f : 1.0f; });
  std::vector<std::pair<uint64_t, float>> ordered(counts.begin(), counts.end());
  std::sort(ordered.begin(), ordered.end());  // sums in a fixed order
  for (const auto& [hash, count] : ordered) {
    const float weight = (1 + std::log(count)) * rarity(hash);
    // Four places per term, with signs: two different terms are nearly at right angles.
    for (int part = 0; part < 4; ++part) {
      const uint64_t bits = hash >> (18 + 11 * part);
      out[bits & 511] += (bits >> 9 & 1) != 0 ? weight : -weight;
    }
  }
}

namespace {

struct Drawn {
  std::vector<uint32_t> rows;
  std::vector<std::string> texts;
};

// The beginnings of the rows' instructions.
std::vector<std::string> prompts_of(const Rows& rows, const std::vector<uint32_t>& chosen) {
  std::vector<std::string> prompts(chosen.size());
  ThreadPool::global().ranges(static_cast<int64_t>(chosen.size()), 64, [&](int64_t begin, int64_t end) {
    ReadRow read;
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      rows.read(chosen[i], read);
      prompts[i] = text_of(read.example).first_prompt.substr(0, kInstructionBytes);
    }
  });
  return prompts;
}

// Calls work(begin, end) on the parts of [0, n) that are done between two looks at `stop`.
void each_chunk(size_t n, const std::function<bool()>& stop, FunctionRef<void(size_t begin, size_t end)> work) {
  for (size_t begin = 0; begin < n; begin += kVectorsAtOnce) {
    if (stop && stop()) throw Error(ErrorCode::kInterrupted, "data", "interrupted");
    work(begin, std::min(n, begin + kVectorsAtOnce));
  }
}

Drawn sample_of(const Rows& rows, const ClusterRules& rules) {
  Drawn sample;
  std::vector<uint32_t> usable;
  for (uint32_t row = 0; row < rows.size(); ++row)
    if (rows.usable(row)) usable.push_back(row);
  if (static_cast<int64_t>(usable.size()) > rules.sample) {  // those with the least random numbers, in the order of the file
    const Rng rng{rules.seed, Rng::kSample, 0};
    std::vector<std::pair<uint64_t, uint32_t>> drawn;
    for (const uint32_t row : usable) drawn.emplace_back(rng.bits64(row), row);
    std::sort(drawn.begin(), drawn.end());
    usable.clear();
    for (int64_t i = 0; i < rules.sample; ++i) usable.push_back(drawn[static_cast<size_t>(i)].second);
    std::sort(usable.begin(), usable.end());
  }
  sample.rows = std::move(usable);
  sample.texts = prompts_of(rows, sample.rows);
  return sample;
}

// v − mean, of length 1.
void centred(float* v, const std::vector<float>& mean) {
  float square = 0;
  for (size_t i = 0; i < mean.size(); ++i) v[i] -= mean[i], square += v[i] * v[i];
  const float scale = square > 1e-12f ? 1 / std::sqrt(square) : 0;
  for (size_t i = 0; i < mean.size(); ++i) v[i] *= scale;
}

float dot(const float* a, const float* b, int64_t n) {
  std::array<float, 8> sums{};  // eight at a time: one instruction, in a fixed order
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (size_t k = 0; k < 8; ++k) sums[k] += a[i + static_cast<int64_t>(k)] * b[i + static_cast<int64_t>(k)];
  for (; i < n; ++i) sums[0] += a[i] * b[i];
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

int32_t nearest_centre(const float* v, const std::vector<float>& centres, int64_t dim) {
  int32_t best = 0;
  float most = -2;
  for (size_t c = 0; c * static_cast<size_t>(dim) < centres.size(); ++c)
    if (const float d = dot(v, centres.data() + c * static_cast<size_t>(dim), dim); d > most) most = d, best = static_cast<int32_t>(c);
  return best;
}

// Per class the terms that occur in many of its instructions and in few others.
std::vector<std::string> names_of(const Drawn& sample, const std::vector<int32_t>& of_text, size_t classes) {
  std::vector<std::map<std::string, int>> in_class(classes);
  std::map<std::string, int> in_all;
  std::vector<int> size(classes);
  for (size_t i = 0; i < sample.texts.size(); ++i) {
    std::unordered_set<std::string> terms;
    each_term(normalized(sample.texts[i]), [&](std::string_view term, bool) { terms.emplace(term.substr(0, 40)); });
    const auto c = static_cast<size_t>(of_text[i]);
    ++size[c];
    for (const std::string& term : terms) ++in_class[c][term], ++in_all[term];
  }
  std::vector<std::string> names(classes);
  for (size_t c = 0; c < classes; ++c) {
    std::vector<std::pair<double, std::string>> ranked;
    for (const auto& [term, count] : in_class[c]) {
      const double inside = count / static_cast<double>(std::max(size[c], 1));
      const double overall = in_all[term] / static_cast<double>(sample.texts.size());
      if (term.size() > 1 && count > 1) ranked.emplace_back(-inside * std::log(inside / overall), term);
    }
    std::sort(ranked.begin(), ranked.end());
    for (size_t i = 0; i < std::min<size_t>(3, ranked.size()); ++i) names[c] += (i > 0 ? " · " : "") + ranked[i].second;
    names[c] = fmt::format("{}: {}", c + 1, names[c].empty() ? "no words" : names[c]);
  }
  return names;
}

}  // namespace

std::vector<float> spherical_k_means(const std::vector<float>& points, int64_t dim, int64_t clusters, uint64_t seed) {
  const auto d = static_cast<size_t>(dim), n = points.size() / d, k = std::min(static_cast<size_t>(clusters), n);
  HONE_CHECK(n > 0 && k > 0, "{} points, {} clusters", n, k);
  const Rng rng{seed, Rng::kInit, 0};
  std::vector<float> centres(points.begin() + static_cast<std::ptrdiff_t>(rng.below(0, n) * d), points.begin() + static_cast<std::ptrdiff_t>(rng.below(0, n) * d + d));
  std::vector<double> distance(n, 4);
  for (size_t c = 1; c < k; ++c) {  // k-means++: the next centre with probability proportional to its squared distance
    double total = 0;
    for (size_t i = 0; i < n; ++i) {
      distance[i] = std::min(distance[i], std::max(0.0, 2.0 - 2.0 * static_cast<double>(dot(&points[i * d], &centres[(c - 1) * d], dim))));
      total += distance[i];
    }
    double left = total * static_cast<double>(rng.bits64(c) >> 11) * 0x1p-53;
    size_t next = 0;
    while (next + 1 < n && (left -= distance[next]) >= 0) ++next;
    centres.insert(centres.end(), points.begin() + static_cast<std::ptrdiff_t>(next * d), points.begin() + static_cast<std::ptrdiff_t>(next * d + d));
  }
  std::vector<int32_t> of_point(n, -1);
  for (int step = 0; step < 25; ++step) {
    std::vector<int32_t> now(n);
    ThreadPool::global().ranges(static_cast<int64_t>(n), 256, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) now[static_cast<size_t>(i)] = nearest_centre(&points[static_cast<size_t>(i) * d], centres, dim);
    });
    if (now == of_point) break;
    of_point = std::move(now);
    std::vector<float> sums(centres.size());
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < d; ++j) sums[static_cast<size_t>(of_point[i]) * d + j] += points[i * d + j];
    const std::vector<float> zero(d);
    for (size_t c = 0; c < k; ++c) {
      centred(&sums[c * d], zero);
      // A centre that has lost its points stays where it was.
      if (dot(&sums[c * d], &sums[c * d], dim) > 0) std::copy_n(&sums[c * d], d, &centres[c * d]);
    }
  }
  return centres;
}

RowClasses classes_by_clusters(const Rows& rows, TextVectors& vectors, const ClusterRules& rules, const std::function<bool()>& stop) {
  const Drawn sample = sample_of(rows, rules);
  if (sample.rows.empty()) throw Error(ErrorCode::kInvalidInput, rows.files().front().report().path, "no row can be used", "correct the rows");
  vectors.fit(sample.texts);
  const int64_t dim = vectors.dimensions();
  const auto d = static_cast<size_t>(dim);
  std::vector<float> points(sample.texts.size() * d), mean(d);
  each_chunk(sample.texts.size(), stop, [&](size_t begin, size_t end) {
    const std::vector<std::string_view> texts(sample.texts.begin() + static_cast<std::ptrdiff_t>(begin), sample.texts.begin() + static_cast<std::ptrdiff_t>(end));
    vectors.vectors(texts, &points[begin * d]);
  });
  const std::vector<float> zero(d);
  for (size_t i = 0; i < sample.texts.size(); ++i) {
    centred(&points[i * d], zero);
    for (size_t j = 0; j < d; ++j) mean[j] += points[i * d + j] / static_cast<float>(sample.texts.size());
  }
  for (size_t i = 0; i < sample.texts.size(); ++i) centred(&points[i * d], mean);
  const std::vector<float> centres = spherical_k_means(points, dim, rules.clusters, rules.seed);
  const size_t k = centres.size() / d;
  RowGroups groups(static_cast<uint32_t>(k));
  for (uint32_t a = 0; a < k; ++a)
    for (uint32_t b = 0; b < a; ++b)
      if (dot(&centres[a * d], &centres[b * d], dim) > rules.same) groups.join(a, b);
  std::vector<int32_t> number(k, -1);
  int32_t classes = 0;
  for (uint32_t c = 0; c < k; ++c) number[c] = groups.find(c) == c ? classes++ : number[groups.find(c)];
  std::vector<int32_t> of_text;
  std::vector<std::vector<std::pair<float, uint32_t>>> closest(static_cast<size_t>(classes));
  for (size_t i = 0; i < sample.texts.size(); ++i) {
    const auto centre = static_cast<size_t>(nearest_centre(&points[i * d], centres, dim));
    of_text.push_back(number[centre]);
    closest[static_cast<size_t>(number[centre])].emplace_back(-dot(&points[i * d], &centres[centre * d], dim), sample.rows[i]);
  }
  RowClasses found{names_of(sample, of_text, static_cast<size_t>(classes)), std::vector<int32_t>(rows.size(), -1), fmt::format("{} clusters of instructions", classes), {}};
  for (auto& members : closest) {
    std::sort(members.begin(), members.end());
    found.typical.emplace_back();
    for (size_t i = 0; i < std::min<size_t>(members.size(), 10); ++i) found.typical.back().push_back(members[i].second);
  }
  for (size_t i = 0; i < sample.rows.size(); ++i) found.of_row[sample.rows[i]] = of_text[i];
  each_chunk(rows.size(), stop, [&](size_t begin, size_t end) {
    std::vector<uint32_t> left;  // rows that are not of the sample
    for (auto row = static_cast<uint32_t>(begin); row < end; ++row)
      if (rows.usable(row) && found.of_row[row] < 0) left.push_back(row);
    const std::vector<std::string> prompts = prompts_of(rows, left);
    std::vector<float> v(left.size() * d);
    vectors.vectors(std::vector<std::string_view>(prompts.begin(), prompts.end()), v.data());
    ThreadPool::global().ranges(static_cast<int64_t>(left.size()), 64, [&](int64_t from, int64_t to) {
      for (auto i = static_cast<size_t>(from); i < static_cast<size_t>(to); ++i) {
        centred(&v[i * d], zero);
        centred(&v[i * d], mean);
        found.of_row[left[i]] = number[static_cast<size_t>(nearest_centre(&v[i * d], centres, dim))];
      }
    });
  });
  return found;
}

}  // namespace hone::data

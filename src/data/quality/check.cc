#include "data/quality/check.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "base/error.h"
#include "data/quality/encoding_hints.h"
#include "data/quality/near_duplicates.h"
#include "data/quality/row_text.h"
#include "data/quality/stats.h"
#include "data/sample_builder.h"

namespace hone::data {
namespace {

constexpr size_t kExcerpt = 100;
constexpr std::array kEmptyKinds = {ProblemKind::kEmptyChat, ProblemKind::kEmptyPrompt, ProblemKind::kEmptyAnswer, ProblemKind::kEmptyText};

size_t at(Measure measure) { return static_cast<size_t>(measure); }

// What one block of rows found. Blocks are joined in order, so the report does not depend on the number of threads.
struct BlockFindings {
  std::array<int64_t, kMeasures> rows{};
  std::array<std::vector<std::pair<uint32_t, std::string>>, kMeasures> examples;
  std::array<int64_t, kPiiKinds> pii_rows{};
  std::array<int64_t, kLanguages> languages{};
  int64_t supervised = 0;
};

// "email: a***@e***.com"
std::string masked_hint(std::string_view text, const std::vector<PiiHint>& hints, size_t hint) {
  const PiiHint& h = hints[hint];
  return fmt::format("{}: {}", name(h.kind), masked(h.kind, text.substr(h.begin, h.end - h.begin)));
}

// Excerpts of rows never show what the hints would hide.
std::string safe_excerpt(const std::string& text) {
  std::string out;
  size_t from = 0;
  for (const PiiHint& hint : find_pii(text)) {
    out.append(text, from, hint.begin - from);
    out += masked(hint.kind, std::string_view(text).substr(hint.begin, hint.end - hint.begin));
    from = hint.end;
  }
  out.append(text, from);
  return excerpt(out, kExcerpt);
}

class Checker {
 public:
  Checker(const Rows& rows, const Rows* held_out, const Encoder* encoder, const CheckSettings& settings, std::function<bool()> stop)
      : rows_(rows), held_out_(held_out), encoder_(encoder), settings_(settings), stop_(std::move(stop)) {}

  CheckReport run() {
    for (size_t i = 0; i < kMeasures; ++i) report_.measures[i].measure = static_cast<Measure>(i);
    const uint32_t n = rows_.size();
    words_.resize(n), prompts_.resize(n), characters_.resize(n), signatures_.resize(n);
    if (encoder_) tokens_.resize(n);
    if (held_out_) prompt_signatures_.resize(n + held_out_->size()), prompts_.resize(n + held_out_->size());
    look_at_rows();
    look_at_files();
    find_repeated();
    if (held_out_) find_leaks();
    return std::move(report_);
  }

 private:
  void look_at_rows() {
    std::vector<BlockFindings> blocks(rows_.blocks());
    rows_.each([&](const ReadRow& row, size_t block) { look_at(row, blocks[block]); }, stop_);
    for (const BlockFindings& block : blocks) {
      for (size_t i = 0; i < kMeasures; ++i) {
        report_.measures[i].rows += block.rows[i];
        for (const auto& [row, text] : block.examples[i]) example(static_cast<Measure>(i), row, text);
      }
      for (size_t i = 0; i < kPiiKinds; ++i) report_.pii_rows[i] += block.pii_rows[i];
      for (size_t i = 0; i < kLanguages; ++i) report_.languages[i] += block.languages[i];
      report_.supervised_tokens += block.supervised;
    }
    std::vector<uint32_t> characters, tokens;
    for (uint32_t row = 0; row < rows_.size(); ++row) {
      if (!rows_.usable(row)) continue;
      characters.push_back(characters_[row]);
      if (encoder_ && tokens_[row] > 0) tokens.push_back(tokens_[row]);
    }
    for (const Measure m : {Measure::kEncoding, Measure::kPii, Measure::kSecrets}) looked(m, static_cast<int64_t>(characters.size()));
    report_.characters = lengths_of(std::move(characters));
    if (!encoder_) return;
    for (const Measure m : {Measure::kTooLong, Measure::kTemplate}) looked(m, report_.characters.rows);
    report_.tokens = lengths_of(std::move(tokens));
  }

  void look_at(const ReadRow& row, BlockFindings& block) {
    const uint32_t n = row.number;
    const RowText text = text_of(row.example);
    const std::string all = text.prompt + "\n" + text.answer;
    characters_[n] = characters_of(all) - 1;  // without the line end between the two
    const std::string prompt = normalized(text.prompt), words = prompt + " " + normalized(text.answer);
    words_[n] = row_hash(words, 1);
    prompts_[n] = row_hash(prompt, 2);
    signatures_[n] = signature_of(words);
    if (held_out_) prompt_signatures_[n] = signature_of(prompt.empty() ? words : prompt);
    ++block.languages[static_cast<size_t>(language_of(all))];
    if (const std::string hint = encoding_hint(all); !hint.empty()) note(block, Measure::kEncoding, n, hint);
    look_for_pii(all, n, block);
    if (encoder_) look_at_tokens(row, block);
  }

  void look_for_pii(const std::string& text, uint32_t row, BlockFindings& block) {
    const auto hints = find_pii(text);
    std::array<bool, kPiiKinds> seen{};
    bool personal = false;
    for (size_t i = 0; i < hints.size(); ++i) {
      const auto kind = static_cast<size_t>(hints[i].kind);
      block.pii_rows[kind] += !std::exchange(seen[kind], true);
      const bool secret = hints[i].kind == PiiKind::kSecret;
      if (secret ? first_of(hints, i) : !personal) note(block, secret ? Measure::kSecrets : Measure::kPii, row, masked_hint(text, hints, i));
      personal |= !secret;
    }
  }

  // Whether no earlier hint is of the same kind.
  static bool first_of(const std::vector<PiiHint>& hints, size_t i) {
    return std::none_of(hints.begin(), hints.begin() + static_cast<std::ptrdiff_t>(i), [&](const PiiHint& h) { return h.kind == hints[i].kind; });
  }

  void look_at_tokens(const ReadRow& row, BlockFindings& block) {
    std::vector<Sample> samples;
    const CutRules uncut{1 << 30, CutOffPolicy::kDrop, TrainOn::kAssistant};
    if (const auto issue = build_samples(row.example, *encoder_, uncut, {}, samples)) return note(block, Measure::kTemplate, row.number, issue->message);
    const auto [length, supervised] = sizes_of(samples);
    tokens_[row.number] = static_cast<uint32_t>(length);
    block.supervised += supervised;
    if (length > settings_.cutoff_length) note(block, Measure::kTooLong, row.number, fmt::format("{} tokens", length));
  }

  void note(BlockFindings& block, Measure measure, uint32_t row, std::string text) {
    ++block.rows[at(measure)];
    if (static_cast<int64_t>(block.examples[at(measure)].size()) < settings_.examples) block.examples[at(measure)].emplace_back(row, std::move(text));
  }

  // Counts that the scan of the files has made.
  void look_at_files() {
    int64_t malformed = 0, empty = 0;
    const auto add = [&](const Rows& rows, int64_t& total) {
      for (const Dataset& file : rows.files()) {
        const DatasetReport& report = file.report();
        report_.files.push_back(report);
        total += report.rows;
        malformed += report.problems.malformed();
        for (const ProblemKind kind : kEmptyKinds) empty += report.problems.of(kind);
        for (const Problem& problem : report.problems.first) {
          const Finding finding{fmt::format("{}:{}", problem.file, problem.line), fmt::format("{}: {}", name(problem.kind), problem.message)};
          const bool says_nothing = std::find(kEmptyKinds.begin(), kEmptyKinds.end(), problem.kind) != kEmptyKinds.end();
          for (const Measure m : {Measure::kMalformed, Measure::kEmpty}) {
            auto& examples = report_.measures[at(m)].examples;
            if ((m == Measure::kMalformed || says_nothing) && static_cast<int64_t>(examples.size()) < settings_.examples) examples.push_back(finding);
          }
        }
      }
    };
    add(rows_, report_.rows);
    if (held_out_) add(*held_out_, report_.held_out_rows);
    report_.measures[at(Measure::kMalformed)].rows = malformed;
    report_.measures[at(Measure::kEmpty)].rows = empty;
    for (const Measure m : {Measure::kMalformed, Measure::kEmpty}) looked(m, report_.rows + report_.held_out_rows);
  }

  // Rows in the order of `hashes`, equal ones in the order of the files.
  std::vector<uint32_t> ordered(const std::vector<uint64_t>& hashes) const {
    std::vector<uint32_t> order;
    for (uint32_t row = 0; row < rows_.size(); ++row)
      if (rows_.usable(row)) order.push_back(row);
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return hashes[a] != hashes[b] ? hashes[a] < hashes[b] : a < b; });
    return order;
  }

  void find_repeated() {
    const uint32_t n = rows_.size();
    std::vector<bool> skip(n);
    std::vector<std::pair<uint32_t, uint32_t>> found;  // row, the earlier one
    for (uint32_t row = 0; row < n; ++row) skip[row] = !rows_.usable(row);
    const auto first_rows = ordered(words_);
    for (size_t begin = 0, i = 0; i < first_rows.size(); ++i) {
      if (words_[first_rows[i]] != words_[first_rows[begin]]) begin = i;
      if (i == begin) continue;
      skip[first_rows[i]] = true;
      found.emplace_back(first_rows[i], first_rows[begin]);
    }
    add_pairs(Measure::kDuplicates, found);
    find_conflicts();
    RowGroups groups(n);
    join_near_duplicates(signatures_, skip, [&](uint32_t row) { return shingles_of(normalized_row(rows_, row)); }, settings_.similarity, groups);
    found.clear();
    for (uint32_t row = 0; row < n; ++row)
      if (!skip[row] && groups.find(row) != row) found.emplace_back(row, groups.find(row));
    add_pairs(Measure::kNearDuplicates, found);
    for (const Measure m : {Measure::kDuplicates, Measure::kNearDuplicates, Measure::kConflicting}) looked(m, report_.characters.rows);
  }

  void find_conflicts() {
    std::vector<std::pair<uint32_t, uint32_t>> found;
    const uint64_t no_prompt = row_hash("", 2);
    const auto order = ordered(prompts_);
    for (size_t begin = 0, i = 0; i < order.size(); ++i) {
      if (prompts_[order[i]] != prompts_[order[begin]]) begin = i;
      if (words_[order[i]] != words_[order[begin]] && prompts_[order[i]] != no_prompt) found.emplace_back(order[i], order[begin]);
    }
    add_pairs(Measure::kConflicting, found);
  }

  void find_leaks() {
    const uint32_t n = rows_.size(), m = held_out_->size();
    held_out_->each([&](const ReadRow& row, size_t) {
      const RowText text = text_of(row.example);
      const std::string prompt = normalized(text.prompt);
      prompts_[n + row.number] = row_hash(prompt, 2);
      prompt_signatures_[n + row.number] = signature_of(prompt.empty() ? prompt + " " + normalized(text.answer) : prompt);
    }, stop_);
    std::vector<bool> skip(n + m);
    for (uint32_t row = 0; row < n + m; ++row) skip[row] = row < n ? !rows_.usable(row) : !held_out_->usable(row - n);
    const auto shingles = [&](uint32_t row) { return shingles_of(row < n ? normalized_prompt(rows_, row) : normalized_prompt(*held_out_, row - n)); };
    const auto near = nearest_before(prompt_signatures_, skip, shingles, settings_.similarity, n);
    const auto order = ordered(prompts_);
    MeasureReport& measure = report_.measures[at(Measure::kLeakage)];
    for (uint32_t row = 0; row < m; ++row) {
      if (skip[n + row]) continue;
      ++measure.of;
      const uint64_t hash = prompts_[n + row];
      const auto equal = std::lower_bound(order.begin(), order.end(), hash, [&](uint32_t a, uint64_t h) { return prompts_[a] < h; });
      const bool same = hash != row_hash("", 2) && equal != order.end() && prompts_[*equal] == hash;
      const int64_t match = same ? *equal : near[row];
      if (match < 0) continue;
      ++measure.rows;
      if (static_cast<int64_t>(measure.examples.size()) >= settings_.examples) continue;
      ReadRow read;
      held_out_->read(row, read);
      const double j = same ? 1 : jaccard(shingles(n + row), shingles(static_cast<uint32_t>(match)));
      measure.examples.push_back({held_out_->where(row), fmt::format("{} {}: {}", same ? "is" : fmt::format("{:.2f} like", j), rows_.where(static_cast<uint32_t>(match)), safe_excerpt(prompt_or_text(read.example)))});
    }
    looked(Measure::kLeakage, measure.of);
  }

  static std::string prompt_or_text(const Example& example) {
    const RowText text = text_of(example);
    return text.prompt.empty() ? text.answer : text.prompt;
  }
  static std::string normalized_row(const Rows& rows, uint32_t row) {
    ReadRow read;
    rows.read(row, read);
    const RowText text = text_of(read.example);
    return normalized(text.prompt) + " " + normalized(text.answer);
  }
  static std::string normalized_prompt(const Rows& rows, uint32_t row) {
    ReadRow read;
    rows.read(row, read);
    const std::string prompt = normalized(text_of(read.example).prompt);
    return prompt.empty() ? normalized_row(rows, row) : prompt;
  }

  void add_pairs(Measure measure, std::vector<std::pair<uint32_t, uint32_t>>& found) {
    std::sort(found.begin(), found.end());
    report_.measures[at(measure)].rows = static_cast<int64_t>(found.size());
    ReadRow read;
    for (size_t i = 0; i < found.size() && static_cast<int64_t>(i) < settings_.examples; ++i) {
      rows_.read(found[i].first, read);
      example(measure, found[i].first, fmt::format("like {}: {}", rows_.where(found[i].second), safe_excerpt(prompt_or_text(read.example))));
    }
  }

  void example(Measure measure, uint32_t row, std::string text) {
    auto& examples = report_.measures[at(measure)].examples;
    if (static_cast<int64_t>(examples.size()) < settings_.examples) examples.push_back({rows_.where(row), std::move(text)});
  }

  void looked(Measure measure, int64_t of) {
    MeasureReport& m = report_.measures[at(measure)];
    m.looked = true;
    m.of = of;
    if (const auto& limit = settings_.limits[at(measure)]) m.allowed = limit->allowed(of);
  }

  const Rows& rows_;
  const Rows* held_out_;
  const Encoder* encoder_;
  const CheckSettings& settings_;
  std::function<bool()> stop_;
  CheckReport report_;
  std::vector<uint64_t> words_, prompts_;  // hashes of the normalized row and prompt (of held-out rows behind)
  std::vector<uint32_t> characters_, tokens_;
  std::vector<Signature> signatures_, prompt_signatures_;
};

void find_broken(CheckReport& report, const CheckSettings& settings) {
  for (const MeasureReport& m : report.measures)
    if (m.broken()) report.broken.push_back(fmt::format("{}: {} of {} rows, at most {} may be (limits.{})", name(m.measure), m.rows, m.of, *m.allowed, name(m.measure)));
  for (const auto* classes : {&report.labels, &report.classes}) {
    if (!*classes) continue;
    const int64_t outside = (*classes)->covered - (*classes)->in_band;
    if (settings.unbalanced && outside > *settings.unbalanced) report.broken.push_back(fmt::format("{} of {} classes by {} lie outside the band, at most {} may (limits.unbalanced)", outside, (*classes)->covered, (*classes)->how, *settings.unbalanced));
  }
  if (report.classes && settings.wanted && report.classes->covered < *settings.wanted)
    report.broken.push_back(fmt::format("{} classes are covered, at least {} must be (limits.classes)", report.classes->covered, *settings.wanted));
}

}  // namespace

Lengths lengths_of(std::vector<uint32_t> values) {
  Lengths l;
  if (values.empty()) return l;
  std::sort(values.begin(), values.end());
  l.rows = static_cast<int64_t>(values.size());
  l.total = std::accumulate(values.begin(), values.end(), int64_t{0});
  l.least = values.front(), l.most = values.back();
  const auto quantile = [&](double q) { return values[static_cast<size_t>(q * static_cast<double>(values.size() - 1))]; };
  l.median = quantile(0.5), l.p90 = quantile(0.9), l.p99 = quantile(0.99);
  for (const uint32_t v : values) {
    const auto bin = static_cast<size_t>(v <= 1 ? 0 : std::bit_width(v - 1));
    if (bin >= l.histogram.size()) l.histogram.resize(bin + 1);
    ++l.histogram[bin];
  }
  return l;
}

CheckReport check_rows(const Rows& rows, const Rows* held_out, const Encoder* encoder, const CheckSettings& settings, const ClassReport* classes, const std::function<bool()>& stop) {
  CheckReport report = Checker(rows, held_out, encoder, settings, stop).run();
  if (classes) report.classes = *classes;
  if (!settings.label.empty())
    report.labels = report_of(rows, classes_by_field(rows, settings.label, stop), settings.band_low, settings.band_high, settings.min_class_rows, settings.wanted.value_or(20), settings.examples);
  find_broken(report, settings);
  return report;
}

}  // namespace hone::data

// hone data check|…: looking at rows, and making files of rows from others.
#include <fmt/format.h>

#include <cstdio>

#include "apps/data_print.h"
#include "apps/verb.h"
#include "data/data_check.h"
#include "recipes/chat_encoder.h"
#include "recipes/data_settings.h"

namespace hone::apps {
namespace {

using data::DatasetConfig;

// What every part of `hone data` may be told.
struct Arguments {
  std::vector<std::string> files, held_out, columns, settings_words;
  std::string settings, model, chat_template, format = "auto", output, class_field, class_rules;
  bool json = false, list_settings = false;
};

std::vector<DatasetConfig> datasets(const Arguments& a, const std::vector<std::string>& paths) {
  std::vector<DatasetConfig> list;
  for (const std::string& path : paths) {
    DatasetConfig dataset;
    dataset.path = path;
    dataset.format = data::parse_format(a.format, "--format");
    for (const std::string& word : a.columns) {
      const size_t equals = word.find('=');
      if (equals == std::string::npos || equals == 0) throw Error(ErrorCode::kInvalidInput, "--columns", fmt::format("expected name=column, found \"{}\"", word), "for example --columns instruction=question --columns output=answer");
      dataset.columns[word.substr(0, equals)] = word.substr(equals + 1);
    }
    list.push_back(std::move(dataset));
  }
  return list;
}

std::unique_ptr<recipes::ChatEncoder> encoder_of(const Arguments& a, const data::Rows& rows) {
  if (a.model.empty()) return nullptr;
  auto encoder = std::make_unique<recipes::ChatEncoder>(recipes::open_model(a.model, a.chat_template));
  for (const data::Dataset& file : rows.files()) data::check_encoder(file, *encoder);
  return encoder;
}

std::optional<data::RowClasses> classes_of(const Arguments& a, const data::Rows& rows) {
  if (!a.class_field.empty()) return data::classes_by_field(rows, a.class_field, interrupted);
  if (!a.class_rules.empty()) return data::classes_by_rules(rows, recipes::load_class_rules(a.class_rules), interrupted);
  return std::nullopt;
}

int check(const Arguments& a) {
  if (a.list_settings) {
    for (const auto& key : data::check_keys()) fmt::print("{:<24} {:<8} {}\n", key.key, key.standard, key.meaning);
    return 0;
  }
  if (a.files.empty()) throw Error(ErrorCode::kInvalidInput, "command line", "no file is named", "hone data check FILE…");
  const data::CheckSettings settings = recipes::load_check_settings(a.settings, a.settings_words);
  const data::BadRowLimit any{data::BadRowLimit::Unit::kShare, 1};
  const data::Rows rows(datasets(a, a.files), any);
  std::optional<data::Rows> held_out;
  if (!a.held_out.empty()) held_out.emplace(datasets(a, a.held_out), any);
  const auto encoder = encoder_of(a, rows);
  std::optional<data::ClassReport> classes;
  if (const auto found = classes_of(a, rows)) classes = data::report_of(rows, *found, settings.band_low, settings.band_high, settings.min_class_rows, settings.wanted.value_or(20), settings.examples);
  const data::CheckReport report = data::check_rows(rows, held_out ? &*held_out : nullptr, encoder.get(), settings, classes ? &*classes : nullptr, interrupted);
  if (a.json) fmt::print("{}\n", dumped(check_json(report)));
  else print_check(report);
  return report.broken.empty() ? 0 : 2;
}

void add_files(CLI::App* sub, Arguments& a) {
  sub->add_option("files", a.files, "files of rows");
  sub->add_option("--format", a.format, "messages, alpaca, sharegpt, prompt_completion or text; default: from the keys");
  sub->add_option("--columns", a.columns, "name=column where a file's keys differ, for example output=answer")->allow_extra_args(false);
}

void add_model(CLI::App* sub, Arguments& a) {
  sub->add_option("--model", a.model, "the model whose tokenizer and chat template count");
  sub->add_option("--chat-template", a.chat_template, "a file or a known name instead of the model's own");
}

void add_classes(CLI::App* sub, Arguments& a) {
  auto* field = sub->add_option("--class-field", a.class_field, "classes are the values of this field (answer.KEY: a key of the answer's JSON)");
  sub->add_option("--class-rules", a.class_rules, "classes are told by the words of a YAML file")->excludes(field);
}

}  // namespace

void add_data(CLI::App& app, Action& action) {
  auto a = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("data", "Look at files of rows, and make others from them");
  verb->require_subcommand(1);
  const auto on = [&](CLI::App* sub, int (*run)(const Arguments&)) {
    sub->add_flag("--json", a->json, "one JSON object");
    sub->callback([a, run, &action] {
      action = [a, run] {
        watch_signals();
        return run(*a);
      };
    });
  };
  CLI::App* checking = verb->add_subcommand("check", "what is wrong with rows: duplicates, leaks, lengths, labels, languages, personal data; exit code 2 when a limit is broken");
  add_files(checking, *a);
  add_model(checking, *a);
  add_classes(checking, *a);
  checking->add_option("--held-out", a->held_out, "files whose rows must not occur among the others")->allow_extra_args(false);
  checking->add_option("--settings", a->settings, "limits and settings from a YAML file");
  checking->add_option("--set", a->settings_words, "key=value: one of them")->allow_extra_args(false);
  checking->add_flag("--list-settings", a->list_settings, "show every setting");
  on(checking, check);
}

}  // namespace hone::apps

// hone eval rate FOLDER…: people rate answers on a local page, blind and in an order of their own.
#include <fmt/format.h>

#include "apps/eval_rate.h"
#include "apps/page_options.h"
#include "base/error.h"
#include "serve/rating/rating.h"

namespace hone::apps {
namespace {

struct RateArguments {
  std::vector<std::string> paths;
  std::string state, output;
  int64_t seed = 42;
  bool expected = false;
  serve::PageOptions page;
};

int rate(const RateArguments& a) {
  const serve::RatingTask task = serve::read_rating_task({a.paths.begin(), a.paths.end()});
  const std::filesystem::path first = a.paths.front(), folder = std::filesystem::is_directory(first) ? first : first.parent_path();
  const std::filesystem::path output = a.output.empty() ? folder / "people.json" : std::filesystem::path(a.output);
  if (output.extension() != ".json") throw Error(ErrorCode::kInvalidInput, "--output", fmt::format("expected a name ending with .json, found {}", output.string()), "hone eval --ratings reads it");
  serve::RatingDesk desk(task, a.state.empty() ? folder / "people.db" : std::filesystem::path(a.state), output, static_cast<uint64_t>(a.seed), a.expected);
  if (task.older > 0) fmt::print("{} answers of earlier evaluations are left out\n", task.older);
  open_page(a.page, "rating", fmt::format("{} answers, {} pairs to rate, into {},", task.single.size(), task.pairs.size(), output.string()), [&](serve::http::Router& router) { serve::add_rating_routes(router, desk, task); });
  return 0;
}

}  // namespace

CLI::App* add_eval_rate(CLI::App* verb, Action& action) {
  auto a = std::make_shared<RateArguments>();
  CLI::App* sub = verb->add_subcommand("rate", "people rate answers on a local page, blind and in random order");
  sub->add_option("answers", a->paths, "folders of hone eval, or their answers-NAME.jsonl")->required();
  sub->add_option("--state", a->state, "where ratings are kept; default: people.db in the first folder");
  sub->add_option("-o,--output", a->output, "the ratings for hone eval --ratings, written after each; default: people.json in the first folder");
  sub->add_option("--seed", a->seed, "of every rater's order")->check(CLI::Range(int64_t{0}, int64_t{1} << 62));
  sub->add_flag("--show-expected", a->expected, "show the expected answer as well");
  add_page_options(sub, a->page, 11436);
  sub->callback([a, &action] { action = [a] { return rate(*a); }; });
  return sub;
}

}  // namespace hone::apps

// hone data review FILE: people accept, edit or reject rows on a local page; --export writes what they kept.
#include <fmt/format.h>

#include <cstdio>

#include "apps/data_arguments.h"
#include "apps/data_print.h"
#include "apps/page_options.h"
#include "data/edit/row_writer.h"
#include "serve/review/review.h"

namespace hone::apps {
namespace {

struct ReviewArguments {
  DataArguments data;
  serve::PageOptions page;
  std::string state;
  bool force = false;
};

int review(const ReviewArguments& a) {
  if (a.data.files.size() != 1) throw Error(ErrorCode::kInvalidInput, "command line", fmt::format("{} files are named, a review is of one", a.data.files.size()), "join them with hone data mix, or review them one after another");
  const std::string& file = a.data.files.front();
  const std::string state = a.state.empty() ? file + ".review.db" : a.state;
  if (!a.data.output.empty()) data::check_output(a.data.output, {file, state}, a.data.overwrite);
  data::check_output(state, {file}, /*overwrite=*/true);
  const data::Rows rows = open_rows(a.data, "100%");
  serve::ReviewStore store(state);
  serve::Review work(rows, store, a.force);
  if (a.data.output.empty()) {
    open_page(a.page, "review", fmt::format("{}: {} rows to review", file, rows.size()), [&](serve::http::Router& router) { serve::add_review_routes(router, work); });
    return 0;
  }
  const serve::ReviewExport r = work.export_rows(a.data.output, interrupted);
  if (a.data.json)
    fmt::print("{}\n", dumped({{"accepted", r.accepted}, {"edited", r.edited}, {"rejected", r.rejected}, {"disputed", r.disputed}, {"open", r.open}, {"malformed", r.malformed}, {"set_aside", r.set_aside}}));
  else
    fmt::print("{}: {} rows ({} accepted, {} edited); left out: {} rejected, {} disputed, {} open, {} malformed\n", a.data.output, r.accepted + r.edited, r.accepted, r.edited, r.rejected, r.disputed, r.open, r.malformed);
  if (r.set_aside > 0 && !a.data.json) fmt::print("{} decisions are about rows that the file no longer holds\n", r.set_aside);
  return 0;
}

}  // namespace

void add_data_review(CLI::App* verb, Action& action) {
  auto a = std::make_shared<ReviewArguments>();
  CLI::App* sub = verb->add_subcommand("review", "people accept, edit or reject rows on a local page, in any number of sittings; --export writes what they kept");
  add_files(sub, a->data);
  sub->add_option("--state", a->state, "where decisions are kept; default: FILE.review.db");
  sub->add_option("--export", a->data.output, "write the kept rows, edited, with who decided, when and why");
  sub->add_flag("--overwrite", a->data.overwrite, "replace what --export names");
  sub->add_flag("--force", a->force, "go on although the file has changed: decisions about rows that are gone are set aside");
  sub->add_flag("--json", a->data.json, "with --export: one JSON object");
  add_page_options(sub, a->page, 11435);
  sub->callback([a, &action] {
    action = [a] {
      watch_signals();
      return review(*a);
    };
  });
}

}  // namespace hone::apps

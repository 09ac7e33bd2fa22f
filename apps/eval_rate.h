// The page of `hone eval`.
#pragma once

#include "apps/verb.h"

namespace hone::apps {

/// hone eval rate; returns its subcommand.
CLI::App* add_eval_rate(CLI::App* verb, Action& action);

}  // namespace hone::apps

#include "models/config.h"

#include <cmath>

#include "models/rope_table.h"

namespace hone::models {

std::string_view name(Family family) {
  switch (family) {
    case Family::kLlama:
      return "llama";
    case Family::kQwen2:
      return "qwen2";
    case Family::kQwen3:
      return "qwen3";
    case Family::kDeepseek2:
      return "deepseek2";
  }
  return "unknown";
}

void check_config(const ModelConfig& c, const std::string& where) {
  auto refuse = [&](const std::string& what) {
    throw Error(ErrorCode::kInvalidInput, where, what, "the file is damaged, or was edited by hand: download it again");
  };
  if (c.heads % c.kv_heads != 0)
    refuse(fmt::format("{} query heads cannot share {} key heads evenly", c.heads, c.kv_heads));
  if (c.rope.dim < 2 || c.rope.dim % 2 != 0)
    refuse(fmt::format("{} elements of a head cannot be rotated in pairs", c.rope.dim));
  if (!c.moe) return;
  const MoeConfig& m = *c.moe;
  if (m.n_routed_experts % m.n_group != 0)
    refuse(fmt::format("{} experts do not form {} equal groups", m.n_routed_experts, m.n_group));
  if (m.top_k > m.n_routed_experts / m.n_group * m.topk_group)
    refuse(fmt::format("{} groups of {} experts cannot supply {} per token", m.topk_group,
                       m.n_routed_experts / m.n_group, m.top_k));
}

float attention_scale(const ModelConfig& config) {
  const int64_t query = config.mla ? config.mla->qk_nope_head_dim + config.mla->qk_rope_head_dim : config.head_dim;
  double scale = 1 / std::sqrt(static_cast<double>(query));
  if (config.mla && config.rope.scaling == RopeScaling::kYarn && config.rope.mscale_all_dim > 0) {
    const double m = yarn_mscale(config.rope.factor, config.rope.mscale_all_dim);
    scale *= m * m;
  }
  return static_cast<float>(scale);
}

}  // namespace hone::models

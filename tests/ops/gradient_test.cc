// Every differentiable op: forward and backward against a double reference. registry_test.cc checks that each op declared in
// src/ops appears here.
#include "ops/gradient_check.h"

#include <algorithm>
#include <map>

#include "ops/attention.h"
#include "ops/columns.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/linear.h"
#include "ops/linear_cross_entropy.h"
#include "ops/mixture.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"

namespace hone::ops::testing {
namespace {

Tensor ints(const std::vector<int32_t>& values) {
  return Tensor::from({static_cast<int64_t>(values.size())}, std::span<const int32_t>(values));
}

size_t at(int64_t i) { return static_cast<size_t>(i); }

TEST(OpGradient, linear) {
  const int64_t t = 5, k = 7, n = 9;
  run({{{{t, k}}, {{n, k}}, {{n}}},
       [](auto& v) { return linear(v[0], v[1], v[2]); },
       [=](auto& v) {
         Array y = product(v[0], false, v[1], true, t, k, n);
         for (int64_t i = 0; i < t * n; ++i) y[at(i)] += v[2][at(i % n)];
         return y;
       }}, {0});
}

TEST(OpGradient, linear_with_lora) {
  const int64_t t = 6, k = 10, n = 5, r = 3;
  const Rng rng{11, Rng::kDropout, 2};
  for (float p : {0.0f, 0.3f}) {
    run({{{{t, k}}, {{n, k}}, {{r, k}}, {{n, r}}},
         [=](auto& v) {
           const Lora lora{v[2], v[3], 1.5f, p, rng, 40};
           return linear(v[0], v[1], Variable{}, &lora);
         },
         [=](auto& v) {
           Array x = v[0];
           if (p > 0)
             for (size_t i = 0; i < x.size(); ++i) x[i] = rng.uniform(40 + i) >= p ? x[i] / (1 - double{p}) : 0;
           Array y = product(v[0], false, v[1], true, t, k, n);
           const Array low = product(product(x, false, v[2], true, t, k, r), false, v[3], true, t, r, n);
           for (size_t i = 0; i < y.size(); ++i) y[i] += 1.5 * low[i];
           return y;
         }}, {0});
  }
}

// Two layers over one input, one with a bias, one with a LoRA (and dropout on its input): each output and the one sum of dx.
TEST(OpGradient, linear_together) {
  const int64_t t = 6, k = 10, n = 5, r = 3;
  const Rng rng{11, Rng::kDropout, 2};
  for (float p : {0.0f, 0.3f})
    run({{{{t, k}}, {{n, k}}, {{n}}, {{n, k}}, {{r, k}}, {{n, r}}},
         [=](auto& v) {
           const Lora lora{v[4], v[5], 1.5f, p, rng, 40};
           const auto y = linear_together(v[0], {{v[1], v[2], nullptr}, {v[3], Variable{}, &lora}});
           return add(y[0], scale(y[1], 0.5f));
         },
         [=](auto& v) {
           Array x = v[0];
           if (p > 0)
             for (size_t i = 0; i < x.size(); ++i) x[i] = rng.uniform(40 + i) >= p ? x[i] / (1 - double{p}) : 0;
           Array y = product(v[0], false, v[1], true, t, k, n);
           const Array second = product(v[0], false, v[3], true, t, k, n), low = product(product(x, false, v[4], true, t, k, r), false, v[5], true, t, r, n);
           for (size_t i = 0; i < y.size(); ++i) y[i] += v[2][i % at(n)] + 0.5 * (second[i] + 1.5 * low[i]);
           return y;
         }}, {0});
}

TEST(OpGradient, linear_together_leaves_out_what_is_unused) {
  const int64_t t = 4, k = 6, n = 3;
  run({{{{t, k}}, {{n, k}}, {{n, k}}},
       [](auto& v) { return linear_together(v[0], {{v[1], Variable{}, nullptr}, {v[2].detach(), Variable{}, nullptr}})[0]; },
       [=](auto& v) { return product(v[0], false, v[1], true, t, k, n); }}, {0});
}

TEST(OpGradient, linear_onto) {
  const int64_t t = 5, k = 7, n = 4, r = 2;
  run({{{{t, n}}, {{t, k}}, {{n, k}}, {{n}}, {{r, k}}, {{n, r}}},
       [](auto& v) {
         const Lora lora{v[4], v[5], 0.5f, 0, {}, 0};
         return linear_onto(v[0], v[1], {v[2], v[3], &lora});
       },
       [=](auto& v) {
         Array y = product(v[1], false, v[2], true, t, k, n);
         const Array low = product(product(v[1], false, v[4], true, t, k, r), false, v[5], true, t, r, n);
         for (size_t i = 0; i < y.size(); ++i) y[i] += v[0][i] + v[3][i % at(n)] + 0.5 * low[i];
         return y;
       }}, {0, 1});
}

TEST(OpGradient, grouped_linear) {
  const std::vector<int32_t> begin{0, 2, 2, 5};
  const int64_t k = 4, n = 3, r = 2;
  std::vector<Input> inputs{{{5, k}}};
  for (int e = 0; e < 3; ++e) inputs.push_back({{n, k}});
  for (int e = 0; e < 3; ++e) {
    inputs.push_back({{r, k}});
    inputs.push_back({{n, r}});
  }
  Check check{inputs,
              [=](auto& v) {
                std::vector<Lora> loras;
                for (size_t e = 0; e < 3; ++e) loras.push_back({v[4 + 2 * e], v[5 + 2 * e], 0.5f, 0, {}, 0});
                return grouped_linear(v[0], begin, {v[1], v[2], v[3]}, loras);
              },
              [=](auto& v) {
                Array y;
                for (size_t e = 0; e < 3; ++e) {
                  const int64_t rows = begin[e + 1] - begin[e];
                  const Array x(v[0].begin() + begin[e] * k, v[0].begin() + begin[e + 1] * k);
                  Array part = product(x, false, v[1 + e], true, rows, k, n);
                  const Array low = product(product(x, false, v[4 + 2 * e], true, rows, k, r), false, v[5 + 2 * e], true, rows, r, n);
                  for (size_t i = 0; i < part.size(); ++i) y.push_back(part[i] + 0.5 * low[i]);
                }
                return y;
              }};
  run(check, {0});
}

TEST(OpGradient, embedding) {
  run({{{{6, 5}}},
       [](auto& v) { return embedding(v[0], ints({3, 0, 3, 5}), DType::kF32); },
       [](auto& v) {
         Array y;
         for (int row : {3, 0, 3, 5}) y.insert(y.end(), v[0].begin() + row * 5, v[0].begin() + (row + 1) * 5);
         return y;
       }});
}

TEST(OpGradient, rms_norm) {
  // Two groups per row, as per-head norms have.
  run({{{{4, 14}}, {{7}, 0.5, 1.5}},
       [](auto& v) { return rms_norm(v[0], v[1], 1e-5f); },
       [](auto& v) {
         Array y(v[0].size());
         for (size_t g = 0; g < y.size() / 7; ++g) {
           double squares = 0;
           for (size_t c = 0; c < 7; ++c) squares += v[0][g * 7 + c] * v[0][g * 7 + c];
           for (size_t c = 0; c < 7; ++c) y[g * 7 + c] = v[0][g * 7 + c] / std::sqrt(squares / 7 + 1e-5) * v[1][c];
         }
         return y;
       }}, {0});
}

TEST(OpGradient, add) {
  run({{{{3, 4}}, {{3, 4}}},
       [](auto& v) { return add(add(v[0], v[1]), v[0]); },
       [](auto& v) {
         Array y(v[0].size());
         for (size_t i = 0; i < y.size(); ++i) y[i] = 2 * v[0][i] + v[1][i];
         return y;
       }}, {0, 1});
}

TEST(OpGradient, swiglu) {
  run({{{{3, 11}, -4, 4}, {{3, 11}}},
       [](auto& v) { return swiglu(v[0], v[1]); },
       [](auto& v) {
         Array y(v[0].size());
         for (size_t i = 0; i < y.size(); ++i) y[i] = v[0][i] / (1 + std::exp(-v[0][i])) * v[1][i];
         return y;
       }}, {0, 1});
}

TEST(OpGradient, dropout) {
  const Rng rng{5, Rng::kDropout, 9};
  run({{{{7, 9}}},
       [=](auto& v) { return dropout(v[0], 0.25f, rng, 100); },
       [=](auto& v) {
         Array y = v[0];
         for (size_t i = 0; i < y.size(); ++i) y[i] = rng.uniform(100 + i) >= 0.25f ? y[i] / 0.75 : 0;
         return y;
       }}, {0});
}

TEST(OpGradient, scale) {
  run({{{{3, 4}}},
       [](auto& v) { return scale(v[0], -2.5f); },
       [](auto& v) {
         Array y = v[0];
         for (double& x : y) x *= -2.5;
         return y;
       }}, {0});
}

TEST(OpGradient, convert) {
  // Through BF16 and back: values within its 8 bits, the gradient passes straight through.
  run({{{{3, 4}}},
       [](auto& v) { return convert(convert(v[0], DType::kBF16), DType::kF32); },
       [](auto& v) { return v[0]; },
       /*tolerance=*/8e-3});
}

RopeTable angles(int64_t positions, int64_t half, bool interleaved) {
  std::vector<float> cos, sin;
  for (int64_t p = 0; p < positions; ++p)
    for (int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(p) * std::pow(100.0, -static_cast<double>(i) / static_cast<double>(half));
      cos.push_back(static_cast<float>(std::cos(angle)));
      sin.push_back(static_cast<float>(std::sin(angle)));
    }
  return {Tensor::from({positions, half}, std::span<const float>(cos)), Tensor::from({positions, half}, std::span<const float>(sin)),
          interleaved};
}

TEST(OpGradient, rope) {
  const std::vector<int32_t> positions{0, 5, 2};
  const int64_t heads = 2, dim = 8, half = 3;  // the last two of each head stay as they are
  for (bool interleaved : {false, true}) {
    const RopeTable table = angles(6, half, interleaved);
    run({{{{3, heads * dim}}},
         [=](auto& v) { return rope(v[0], heads, table, ints(positions)); },
         [=](auto& v) {
           Array y = v[0];
           for (int64_t t = 0; t < 3; ++t)
             for (int64_t h = 0; h < heads; ++h)
               for (int64_t i = 0; i < half; ++i) {
                 const int64_t base = (t * heads + h) * dim;
                 const int64_t a = base + (interleaved ? 2 * i : i), b = base + (interleaved ? 2 * i + 1 : i + half);
                 const double c = table.cos.data<float>()[positions[at(t)] * half + i];
                 const double s = table.sin.data<float>()[positions[at(t)] * half + i];
                 y[at(a)] = v[0][at(a)] * c - v[0][at(b)] * s;
                 y[at(b)] = v[0][at(a)] * s + v[0][at(b)] * c;
               }
           return y;
         }}, {0});
  }
}

TEST(OpGradient, attention) {
  const int64_t heads = 4, groups = 2, dim = 6, value_dim = 5;
  // Three segments, one of them empty; the second has more keys than queries, as with a cache.
  const std::vector<int32_t> q_begin{0, 5, 5, 8}, k_begin{0, 5, 5, 12};
  const float factor = 0.4f;
  run({{{{8, heads * dim}}, {{12, groups * dim}}, {{12, groups * value_dim}}},
       [=](auto& v) { return attention(v[0], v[1], v[2], {heads, groups, factor}, ints(q_begin), ints(k_begin)); },
       [=](auto& v) {
         Array y(at(8 * heads * value_dim));
         for (size_t s = 0; s + 1 < q_begin.size(); ++s)
           for (int64_t q = q_begin[s]; q < q_begin[s + 1]; ++q)
             for (int64_t h = 0; h < heads; ++h) {
               const int64_t g = h / (heads / groups), last = k_begin[s + 1] - (q_begin[s + 1] - 1 - q);
               Array p;
               double sum = 0;
               for (int64_t k = k_begin[s]; k < last; ++k) {
                 double dot = 0;
                 for (int64_t d = 0; d < dim; ++d) dot += v[0][at((q * heads + h) * dim + d)] * v[1][at((k * groups + g) * dim + d)];
                 p.push_back(std::exp(dot * factor));
                 sum += p.back();
               }
               for (int64_t k = k_begin[s]; k < last; ++k)
                 for (int64_t d = 0; d < value_dim; ++d)
                   y[at((q * heads + h) * value_dim + d)] += p[at(k - k_begin[s])] / sum * v[2][at((k * groups + g) * value_dim + d)];
             }
         return y;
       }}, {0, 1, 2});
}

TEST(OpGradient, linear_cross_entropy) {
  const int64_t cols = 6, vocab = 13;
  const std::vector<int32_t> labels{4, kIgnoreLabel, 0, 12, kIgnoreLabel};
  run({{{{5, cols}}, {{vocab, cols}}},
       [=](auto& v) { return linear_cross_entropy(v[0], v[1], ints(labels), 0.25f).loss; },
       [=](auto& v) {
         const Array z = product(v[0], false, v[1], true, 5, cols, vocab);
         double loss = 0;
         for (int64_t t = 0; t < 5; ++t) {
           if (labels[at(t)] == kIgnoreLabel) continue;
           double sum = 0;
           for (int64_t c = 0; c < vocab; ++c) sum += std::exp(z[at(t * vocab + c)]);
           loss += std::log(sum) - z[at(t * vocab + labels[at(t)])];
         }
         return Array{0.25 * loss};
       }}, {0});
}

// A head with a low-rank change, whole (trained itself) and frozen.
TEST(OpGradient, linear_cross_entropy_with_an_update) {
  const int64_t cols = 6, vocab = 13, rank = 3;
  const std::vector<int32_t> labels{4, kIgnoreLabel, 0, 12, kIgnoreLabel};
  run({{{{5, cols}}, {{vocab, cols}}, {{5, rank}}, {{vocab, rank}}},
       [=](auto& v) { return linear_cross_entropy(v[0], v[1], ints(labels), 0.25f, {v[2], v[3], 0.7f}).loss; },
       [=](auto& v) {
         const Array z = product(v[0], false, v[1], true, 5, cols, vocab), more = product(v[2], false, v[3], true, 5, rank, vocab);
         double loss = 0;
         for (int64_t t = 0; t < 5; ++t) {
           if (labels[at(t)] == kIgnoreLabel) continue;
           const auto score = [&](int64_t c) { return z[at(t * vocab + c)] + double{0.7f} * more[at(t * vocab + c)]; };
           double sum = 0;
           for (int64_t c = 0; c < vocab; ++c) sum += std::exp(score(c));
           loss += std::log(sum) - score(labels[at(t)]);
         }
         return Array{0.25 * loss};
       }}, {0, 2});
}

TEST(OpGradient, split_columns) {
  run({{{{3, 2 * 5}}},
       [](auto& v) {
         const auto parts = split_columns(v[0], 2, {2, 3});
         return add(parts[1], scale(parts[1], 2));  // the first part stays unused
       },
       [](auto& v) {
         Array y;
         for (size_t row = 0; row < 6; ++row)
           for (size_t c = 2; c < 5; ++c) y.push_back(3 * v[0][row * 5 + c]);
         return y;
       }}, {0});
}

TEST(OpGradient, join_columns) {
  run({{{{3, 2 * 2}}, {{3, 3}}},
       [](auto& v) { return join_columns({v[0], v[1]}, 2, {false, true}); },
       [](auto& v) {
         Array y;
         for (size_t t = 0; t < 3; ++t)
           for (size_t g = 0; g < 2; ++g) {
             for (size_t c = 0; c < 2; ++c) y.push_back(v[0][(t * 2 + g) * 2 + c]);
             for (size_t c = 0; c < 3; ++c) y.push_back(v[1][t * 3 + c]);
           }
         return y;
       }}, {0, 1});
}

// The reference weight of each chosen expert, dense over experts, with the choice taken from the op itself (the choice has
// no gradient); tests of the choice are below.
Routing small_routing(bool sigmoid, bool normalize) {
  Routing r;
  r.top_k = 2;
  r.sigmoid = sigmoid;
  r.normalize = normalize;
  r.scale = 1.7f;
  return r;
}

TEST(OpGradient, route) {
  const int64_t tokens = 4, experts = 5;
  for (bool sigmoid : {false, true})
    for (bool normalize : {false, true}) {
      std::vector<int32_t> chosen;
      run({{{{tokens, experts}, -2, 2}},
           [&](auto& v) {
             const Assignment a = route(v[0], small_routing(sigmoid, normalize));
             for (int64_t p = 0; p < tokens * 2; ++p) {
               const auto it = std::upper_bound(a.begin.begin(), a.begin.end(), a.slot[at(p)]);
               chosen.push_back(static_cast<int32_t>(it - a.begin.begin()) - 1);
             }
             return a.weights;
           },
           [&](auto& v) {
             Array y;
             for (int64_t t = 0; t < tokens; ++t) {
               Array s;
               double total = 0;
               for (int64_t e = 0; e < experts; ++e) {
                 const double z = v[0][at(t * experts + e)];
                 s.push_back(sigmoid ? 1 / (1 + std::exp(-z)) : std::exp(z));
                 total += s.back();
               }
               if (!sigmoid)
                 for (double& x : s) x /= total;
               const double a = s[at(chosen[at(2 * t)])], b = s[at(chosen[at(2 * t + 1)])], n = normalize ? a + b : 1;
               y.push_back(1.7 * a / n);
               y.push_back(1.7 * b / n);
             }
             return y;
           }});
    }
}

TEST(OpGradient, dispatch) {
  const Assignment assignment = route(Tensor::from({3, 3}, std::span<const float>(std::vector<float>{1, 2, 3, 3, 1, 2, 0, 5, 1})),
                                      small_routing(false, false));
  run({{{{3, 4}}},
       [&](auto& v) { return dispatch(v[0], assignment); },
       [&](auto& v) {
         Array y;
         for (int32_t token : assignment.token) y.insert(y.end(), v[0].begin() + token * 4, v[0].begin() + (token + 1) * 4);
         return y;
       }}, {0});
}

TEST(OpGradient, combine) {
  const Assignment assignment = route(Tensor::from({3, 3}, std::span<const float>(std::vector<float>{1, 2, 3, 3, 1, 2, 0, 5, 1})),
                                      small_routing(false, false));
  run({{{{6, 4}}, {{3, 2}}},
       [&](auto& v) {
         Assignment mine = assignment;
         mine.weights = v[1];
         return combine(v[0], mine);
       },
       [&](auto& v) {
         Array y(12);
         for (size_t t = 0; t < 3; ++t)
           for (size_t j = 0; j < 2; ++j)
             for (size_t c = 0; c < 4; ++c)
               y[t * 4 + c] += v[1][t * 2 + j] * v[0][at(assignment.slot[t * 2 + j]) * 4 + c];
         return y;
       }}, {0});
}

TEST(Route, ChoosesByBiasButWeighsByScore) {
  Routing r = small_routing(true, false);
  r.top_k = 1;
  r.scale = 1;
  const std::vector<float> bias{0, 10, 0};
  r.choice_bias = Tensor::from({3}, std::span<const float>(bias));
  const std::vector<float> logits{3, -1, 0};
  const Assignment a = route(Tensor::from({1, 3}, std::span<const float>(logits)), r);
  EXPECT_EQ(a.begin, (std::vector<int32_t>{0, 0, 1, 1}));
  EXPECT_NEAR(a.weights.value().data<float>()[0], 1 / (1 + std::exp(1.0)), 1e-6);
}

TEST(Route, LimitsGroups) {
  Routing r = small_routing(true, false);
  r.groups = 2;
  r.top_groups = 1;
  // Group 0 has the single best expert, group 1 the best two together.
  const std::vector<float> logits{4, -9, 2, 1.9f};
  r.group_by_top2 = false;
  EXPECT_EQ(route(Tensor::from({1, 4}, std::span<const float>(logits)), r).begin, (std::vector<int32_t>{0, 1, 2, 2, 2}));
  r.group_by_top2 = true;
  EXPECT_EQ(route(Tensor::from({1, 4}, std::span<const float>(logits)), r).begin, (std::vector<int32_t>{0, 0, 0, 1, 2}));
}

}  // namespace
}  // namespace hone::ops::testing

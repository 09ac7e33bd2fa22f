#include "models/rope_table.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace hone::models {
namespace {

constexpr double kTau = 2 * std::numbers::pi;

double llama3_frequency(double frequency, const RopeConfig& r) {
  const double wavelength = kTau / frequency;
  if (wavelength > r.original_max_positions / r.low_freq_factor) return frequency / r.factor;
  if (wavelength < r.original_max_positions / r.high_freq_factor) return frequency;
  const double smooth = (r.original_max_positions / wavelength - r.low_freq_factor) / (r.high_freq_factor - r.low_freq_factor);
  return (1 - smooth) * frequency / r.factor + smooth * frequency;
}

// Share of interpolation (against extrapolation) of frequency i: a ramp between the dimensions that turn beta_fast and
// beta_slow times over the original length.
double yarn_ramp(int64_t i, const RopeConfig& r) {
  auto dimension = [&](double rotations) {
    return static_cast<double>(r.dim) * std::log(r.original_max_positions / (rotations * kTau)) / (2 * std::log(r.theta));
  };
  const double low = std::max(std::floor(dimension(r.beta_fast)), 0.0);
  double high = std::min(std::ceil(dimension(r.beta_slow)), static_cast<double>(r.dim) - 1);
  if (low == high) high += 0.001;
  return std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
}

}  // namespace

double rotation_factor(const RopeConfig& r) {
  if (r.attention_factor) return *r.attention_factor;
  if (r.scaling != RopeScaling::kYarn) return 1;
  if (r.mscale > 0 && r.mscale_all_dim > 0)
    return yarn_mscale(r.factor, r.mscale) / yarn_mscale(r.factor, r.mscale_all_dim);
  return yarn_mscale(r.factor, 1);
}

double yarn_mscale(double factor, double mscale) { return factor <= 1 ? 1 : 0.1 * mscale * std::log(factor) + 1; }

std::vector<float> llama3_divisors(const RopeConfig& r) {
  std::vector<float> divisors;
  for (int64_t i = 0; i < r.dim / 2; ++i) {
    const double f = std::pow(r.theta, -2.0 * static_cast<double>(i) / static_cast<double>(r.dim));
    divisors.push_back(static_cast<float>(f / llama3_frequency(f, r)));
  }
  return divisors;
}

ops::RopeTable rope_table(const ModelConfig& config, int64_t positions) {
  const RopeConfig& r = config.rope;
  const int64_t half = r.dim / 2;
  std::vector<double> frequencies;
  for (int64_t i = 0; i < half; ++i) {
    double f = std::pow(r.theta, -2.0 * static_cast<double>(i) / static_cast<double>(r.dim));
    switch (r.scaling) {
      case RopeScaling::kNone: break;
      case RopeScaling::kLinear: f /= r.factor; break;
      case RopeScaling::kLlama3: f = llama3_frequency(f, r); break;
      case RopeScaling::kYarn: {
        const double ramp = yarn_ramp(i, r);
        f = f / r.factor * ramp + f * (1 - ramp);
        break;
      }
    }
    if (!r.freq_divisors.empty()) f /= static_cast<double>(r.freq_divisors[static_cast<size_t>(i)]);
    frequencies.push_back(static_cast<double>(static_cast<float>(f)));
  }
  const double factor = rotation_factor(r);
  ops::RopeTable table{Tensor::empty({positions, half}, DType::kF32), Tensor::empty({positions, half}, DType::kF32), r.interleaved};
  float* cos = table.cos.data_mutable<float>();
  float* sin = table.sin.data_mutable<float>();
  for (int64_t p = 0; p < positions; ++p)
    for (int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(p) * frequencies[static_cast<size_t>(i)];
      cos[p * half + i] = static_cast<float>(std::cos(angle) * factor);
      sin[p * half + i] = static_cast<float>(std::sin(angle) * factor);
    }
  return table;
}

}  // namespace hone::models

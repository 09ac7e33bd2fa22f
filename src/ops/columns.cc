#include "ops/columns.h"

#include <cstring>
#include <numeric>

#include "quant/bf16.h"

namespace hone::ops {
namespace {

constexpr int64_t kRowsPerTask = 64;

// Moves columns between a wide row of `groups` cells (each `cell` elements) and a narrow tensor holding `width` elements of
// each cell from column `at`. A shared narrow tensor holds one group only.
struct Strip {
  int64_t groups, cell, at, width;
  bool shared;
  size_t element;

  void copy(const Tensor& wide, const Tensor& narrow, bool to_wide) const {
    auto* w = static_cast<std::byte*>(const_cast<void*>(wide.raw()));
    auto* n = static_cast<std::byte*>(const_cast<void*>(narrow.raw()));
    const size_t bytes = static_cast<size_t>(width) * element;
    threads().ranges(wide.size(0), kRowsPerTask, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t)
        for (int64_t g = 0; g < groups; ++g) {
          std::byte* in_wide = w + static_cast<size_t>((t * groups + g) * cell + at) * element;
          std::byte* in_narrow = n + static_cast<size_t>(shared ? t * width : (t * groups + g) * width) * element;
          std::memcpy(to_wide ? in_wide : in_narrow, to_wide ? in_narrow : in_wide, bytes);
        }
    });
  }
};

template <class T>
void sum_groups(const Tensor& wide, const Tensor& narrow, const Strip& s) {
  threads().ranges(wide.size(0), kRowsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t)
      for (int64_t c = 0; c < s.width; ++c) {
        float sum = 0;
        for (int64_t g = 0; g < s.groups; ++g) sum += to_float(wide.data<T>()[(t * s.groups + g) * s.cell + s.at + c]);
        narrow.data_mutable<T>()[t * s.width + c] = from_float<T>(sum);
      }
  });
}

std::vector<Strip> strips(int64_t groups, const std::vector<int64_t>& widths, const std::vector<bool>& shared, DType type) {
  const int64_t cell = std::accumulate(widths.begin(), widths.end(), int64_t{0});
  std::vector<Strip> result;
  int64_t at = 0;
  for (size_t i = 0; i < widths.size(); ++i) {
    result.push_back({groups, cell, at, widths[i], shared[i], static_cast<size_t>(traits(type).block_bytes)});
    at += widths[i];
  }
  return result;
}

Tensor join(const std::vector<Tensor>& parts, const std::vector<Strip>& layout, int64_t rows, DType type) {
  Tensor wide = Tensor::empty({rows, layout[0].groups * layout[0].cell}, type);
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].defined()) {
      layout[i].copy(wide, parts[i], /*to_wide=*/true);
    } else {  // an output nothing used: its gradient is zero
      layout[i].copy(wide, Tensor::zeros({rows, layout[i].groups * layout[i].width}, type), /*to_wide=*/true);
    }
  }
  return wide;
}

}  // namespace

std::vector<Variable> split_columns(const Variable& x, int64_t groups, const std::vector<int64_t>& widths) {
  const profile::Scope scope("split_columns");
  const DType type = x.value().dtype();
  const auto layout = strips(groups, widths, std::vector<bool>(widths.size(), false), type);
  check_activation("split_columns", x.value(), groups * layout[0].cell);
  const int64_t rows = x.size(0);
  std::vector<Tensor> parts;
  for (const Strip& strip : layout) {
    parts.push_back(Tensor::empty({rows, groups * strip.width}, type));
    strip.copy(x.value(), parts.back(), /*to_wide=*/false);
  }
  return autograd::record("split_columns", {x}, std::move(parts),
                          [layout, rows, type](std::vector<Tensor>& dy, autograd::Gradients& out) {
                            out.add(0, join(dy, layout, rows, type));
                          });
}

Variable join_columns(const std::vector<Variable>& parts, int64_t groups, const std::vector<bool>& shared) {
  const profile::Scope scope("join_columns");
  HONE_CHECK(!parts.empty() && parts.size() == shared.size(), "join_columns: {} parts", parts.size());
  const DType type = parts[0].value().dtype();
  const int64_t rows = parts[0].size(0);
  std::vector<int64_t> widths;
  std::vector<Tensor> values;
  for (size_t i = 0; i < parts.size(); ++i) {
    HONE_CHECK(parts[i].size(0) == rows && parts[i].value().dtype() == type, "join_columns: part {} is {}", i,
               parts[i].shape().str());
    widths.push_back(shared[i] ? parts[i].size(1) : parts[i].size(1) / groups);
    values.push_back(parts[i].value());
  }
  const auto layout = strips(groups, widths, shared, type);
  return autograd::record("join_columns", parts, join(values, layout, rows, type),
                          [layout, rows, type](std::vector<Tensor>& dy, autograd::Gradients& out) {
                            for (size_t i = 0; i < layout.size(); ++i) {
                              if (!out.needed(static_cast<int>(i))) continue;
                              const Strip& strip = layout[i];
                              Tensor part = Tensor::empty({rows, strip.shared ? strip.width : strip.groups * strip.width}, type);
                              if (!strip.shared) strip.copy(dy[0], part, /*to_wide=*/false);
                              else if (type == DType::kF32) sum_groups<float>(dy[0], part, strip);
                              else sum_groups<BF16>(dy[0], part, strip);
                              out.add(static_cast<int>(i), part);
                            }
                          });
}

}  // namespace hone::ops

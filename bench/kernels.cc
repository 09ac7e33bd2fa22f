// Times every heavy kernel at named shapes and prints its rate beside the processor's measured peak.
//   hone_bench_kernels [name part] [repetitions]     $HONE_FORCE_ISA and $HONE_THREADS choose the level and the threads
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/peak.h"
#include "kernels/table.h"
#include "quant/bf16.h"
#include "quant/nf4.h"

namespace hone::bench {
namespace {

using kernels::AttentionShape;
using kernels::Gemm;
using kernels::Matrix;
using kernels::Precision;

struct Options {
  std::string part;
  int repetitions = 15;
};

// Times that a thread of this process lost its processor to another.
int64_t interruptions() {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  return use.ru_nivcsw;
}

struct Runner {
  Options options;
  const kernels::KernelTable& table = kernels::kernels();
  ThreadPool& pool = ThreadPool::global();
  double peak_f32 = kernels::peak_gflops(table.isa, Precision::kF32, pool), peak_bf16 = kernels::peak_gflops(table.isa, Precision::kBF16, pool);
  double peak_int8 = kernels::peak_gflops(table.isa, Precision::kInt8, pool);

  // Median and best time of `call`; `operations` and `bytes` turn the median into rates.
  template <class Call>
  void time(const std::string& label, double operations, double bytes, double peak, Call call) const {
    if (label.find(options.part) == std::string::npos) return;
    call();
    const int64_t before = interruptions();
    std::vector<double> seconds;
    for (int i = 0; i < options.repetitions; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      call();
      seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
    const int64_t lost = interruptions() - before;
    std::sort(seconds.begin(), seconds.end());
    const double median = seconds[seconds.size() / 2], best = seconds[0];
    fmt::print("{:44} {:9.3f} ms (best {:9.3f})", label, median * 1e3, best * 1e3);
    if (operations > 0) fmt::print("  {:7.1f} GFLOP/s", operations / median * 1e-9);
    if (operations > 0 && peak > 0) fmt::print("  {:5.1f} % of peak", 100 * operations / median * 1e-9 / peak);
    if (bytes > 0) fmt::print("  {:6.1f} GB/s", bytes / median * 1e-9);
    // Either sign of another program on the machine makes the line unfit for a comparison. Neither sign proves that there was none.
    const bool disturbed = median > 1.2 * best || lost > 2 * options.repetitions;
    fmt::print("{}\n", disturbed ? "  disturbed: measure again" : "");
  }
  double peak_of(Precision p) const { return p == Precision::kInt8 && peak_int8 > 0 ? peak_int8 : p == Precision::kBF16 && peak_bf16 > 0 ? peak_bf16 : peak_f32; }
};

// Storage of one matrix of small random values; block formats get random codes and ordinary scales.
struct Storage {
  std::vector<unsigned char> bytes;
  quant::Nf4State nf4;
  Matrix matrix;

  Storage(DType type, int64_t rows, int64_t cols, uint32_t stream) {
    const Rng rng{11, stream, 0};
    const auto count = static_cast<size_t>(rows * cols);
    if (type == DType::kF32 || type == DType::kBF16 || type == DType::kNF4) {
      std::vector<float> values(count);
      for (size_t i = 0; i < count; ++i) values[i] = 0.1f * (rng.uniform(i) - 0.5f);
      if (type == DType::kNF4) {
        bytes.resize((count + 1) / 2);
        nf4 = quant::nf4_quantize(values.data(), rows * cols, bytes.data());
      } else if (type == DType::kF32) {
        bytes.resize(4 * count);
        std::memcpy(bytes.data(), values.data(), bytes.size());
      } else {
        bytes.resize(2 * count);
        for (size_t i = 0; i < count; ++i) {
          const BF16 half = to_bf16(values[i]);
          std::memcpy(bytes.data() + 2 * i, &half, 2);
        }
      }
    } else {
      bytes.resize(static_cast<size_t>(row_bytes(type, cols) * rows));
      for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<unsigned char>(rng.bits(i));
      const auto& t = traits(type);
      const F16 scale = to_f16(0.01f);
      for (size_t at = 0; at < bytes.size(); at += static_cast<size_t>(t.block_bytes)) {
        const bool last = type == DType::kQ6_K;
        std::memcpy(bytes.data() + at + (last ? 208 : 0), &scale, 2);
        if (type == DType::kQ4_1 || type == DType::kQ5_1 || type == DType::kQ4_K || type == DType::kQ5_K)
          std::memcpy(bytes.data() + at + 2, &scale, 2);
      }
    }
    matrix = {bytes.data(), type, rows, cols, 0, nullptr};
  }
  Storage(const Storage&) = delete;
  Matrix get() const {
    Matrix m = matrix;
    if (m.type == DType::kNF4) m.nf4 = &nf4;
    return m;
  }
};

// y (m,n) = x (m,k) · Wᵀ + (x·Aᵀ)·Bᵀ, dx (m,k) = dy · W: one shape in one weight type.
void linear(const Runner& run, const std::string& name, int64_t m, int64_t n, int64_t k, DType type, int64_t rank = 0,
            Precision precision = Precision::kBF16) {
  const DType activation = precision == Precision::kBF16 ? DType::kBF16 : DType::kF32;
  const Storage x(activation, m, k, 1), w(type, n, k, 2), dy(activation, m, n, 3), t(activation, m, std::max<int64_t>(rank, 1), 4),
      b(DType::kF32, n, std::max<int64_t>(rank, 1), 5);
  std::vector<float> c(static_cast<size_t>(m * std::max(n, k)));
  const std::string of = fmt::format("{} {}x{}x{} {}{}", name, m, n, k, hone::name(type), rank ? fmt::format(" r{}", rank) : "");
  const double operations = 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k + rank);
  Gemm g;
  g.m = m;
  g.n = n;
  g.products[0] = {x.get(), false, w.get(), true, 1};
  if (rank) g.products[1] = {t.get(), false, b.get(), true, 2}, g.count = 2;
  g.c = c.data();
  g.c_type = activation;
  g.ldc = n;
  g.precision = precision;
  run.time(of + " y", operations, m == 1 ? static_cast<double>(w.bytes.size()) : 0, m == 1 ? 0 : run.peak_of(precision),
           [&] { run.table.gemm(&g, 1, run.pool); });
  if (m == 1) return;
  Gemm back;
  back.m = m;
  back.n = k;
  back.products[0] = {dy.get(), false, w.get(), false, 1};
  back.c = c.data();
  back.c_type = activation;
  back.ldc = k;
  back.precision = precision;
  run.time(of + " dx", 2.0 * static_cast<double>(m * n) * static_cast<double>(k), 0, run.peak_of(precision),
           [&] { run.table.gemm(&back, 1, run.pool); });
}

// LoRA's own products: t = x·Aᵀ, dt = dy·B, dA = dtᵀ·x, dB = dyᵀ·t.
void thin(const Runner& run, int64_t m, int64_t n, int64_t k, int64_t r) {
  const Storage x(DType::kBF16, m, k, 1), dy(DType::kBF16, m, n, 2), a(DType::kF32, r, k, 3), b(DType::kF32, n, r, 4),
      t(DType::kBF16, m, r, 5);
  std::vector<float> c(static_cast<size_t>(std::max(m, std::max(n, k)) * std::max(r, std::max(n, k))));
  const auto go = [&](const char* label, int64_t rows, int64_t cols, int64_t depth, const kernels::Product& p, DType out, bool accumulate) {
    Gemm g;
    g.m = rows;
    g.n = cols;
    g.products[0] = p;
    g.c = c.data();
    g.c_type = out;
    g.ldc = cols;
    g.accumulate = accumulate;
    run.time(fmt::format("lora {}x{}x{} r{} {}", m, n, k, r, label), 2.0 * static_cast<double>(rows * cols) * static_cast<double>(depth), 0,
             run.peak_of(Precision::kBF16), [&] { run.table.gemm(&g, 1, run.pool); });
  };
  go("t", m, r, k, {x.get(), false, a.get(), true, 1}, DType::kBF16, false);
  go("dt", m, r, n, {dy.get(), false, b.get(), false, 1}, DType::kBF16, false);
  go("dA", r, k, m, {t.get(), true, x.get(), false, 1}, DType::kF32, true);
  go("dB", n, r, m, {dy.get(), true, t.get(), false, 1}, DType::kF32, true);
  go("dx", m, k, r, {t.get(), false, a.get(), false, 1}, DType::kBF16, true);
}

void attention(const Runner& run, const std::string& name, int64_t tokens, int64_t heads, int64_t kv_heads, int64_t d) {
  const Storage q(DType::kBF16, tokens, heads * d, 1), k(DType::kBF16, tokens, kv_heads * d, 2), v(DType::kBF16, tokens, kv_heads * d, 3),
      dout(DType::kBF16, tokens, heads * d, 4);
  const auto size = static_cast<size_t>(tokens * heads * d);
  std::vector<uint16_t> out(size), dq(size), dk(size), dv(size);
  std::vector<float> lse(static_cast<size_t>(tokens * heads));
  const int32_t begin[] = {0, static_cast<int32_t>(tokens)};
  AttentionShape s;
  s.segments = 1;
  s.q_begin = s.k_begin = begin;
  s.heads = heads;
  s.kv_heads = kv_heads;
  s.head_dim = s.value_dim = d;
  s.q_stride = s.out_stride = heads * d;
  s.k_stride = s.v_stride = kv_heads * d;
  s.scale = 0.125f;
  s.type = DType::kBF16;
  const double half = static_cast<double>(tokens) * static_cast<double>(tokens) / 2 * static_cast<double>(heads * d) * 2;
  run.time(fmt::format("attention {} T{} forward", name, tokens), 2 * half, 0, run.peak_of(Precision::kBF16), [&] {
    run.table.attention(s, q.bytes.data(), k.bytes.data(), v.bytes.data(), out.data(), lse.data(), run.pool);
  });
  run.time(fmt::format("attention {} T{} backward", name, tokens), 5 * half, 0, run.peak_of(Precision::kBF16), [&] {
    run.table.attention_backward(s, q.bytes.data(), k.bytes.data(), v.bytes.data(), out.data(), lse.data(), dout.bytes.data(), dq.data(),
                                 dk.data(), dv.data(), run.pool);
  });
}

// One pass over memory each: the bytes are those read and written once.
void passes(const Runner& run) {
  constexpr int64_t kTokens = 512, kWidth = 576, kInner = 1536, kVocab = 49152, kRows = 64;
  const Storage x(DType::kBF16, kTokens, kInner, 1), y(DType::kBF16, kTokens, kInner, 2), w(DType::kF32, 1, kInner, 3);
  std::vector<uint16_t> out(x.bytes.size()), other(x.bytes.size());
  std::vector<float> rstd(kTokens), dw(kInner), logits(static_cast<size_t>(kRows * kVocab), 0.5f), loss(kRows);
  const auto* weight = reinterpret_cast<const float*>(w.bytes.data());
  constexpr auto kWide = static_cast<double>(kTokens * kWidth), kLong = static_cast<double>(kTokens * kInner);
  run.time("rms_norm 512x576", 0, 4 * kWide, 0, [&] {
    run.table.rms_norm(kTokens, kWidth, x.bytes.data(), DType::kBF16, weight, 1e-5f, out.data(), rstd.data(), run.pool);
  });
  run.time("rms_norm_backward 512x576", 0, 8 * kWide, 0, [&] {
    run.table.rms_norm_backward(kTokens, kWidth, x.bytes.data(), y.bytes.data(), DType::kBF16, weight, rstd.data(), out.data(), true, nullptr,
                                run.pool);
  });
  run.time("swiglu 512x1536", 0, 6 * kLong, 0,
           [&] { run.table.swiglu(kTokens * kInner, x.bytes.data(), y.bytes.data(), out.data(), DType::kBF16, run.pool); });
  run.time("swiglu_backward 512x1536", 0, 10 * kLong, 0, [&] {
    run.table.swiglu_backward(kTokens * kInner, x.bytes.data(), y.bytes.data(), x.bytes.data(), out.data(), other.data(), DType::kBF16, run.pool);
  });
  run.time("axpby 512x576", 0, 6 * kWide, 0,
           [&] { run.table.axpby(kTokens * kWidth, 1, x.bytes.data(), DType::kBF16, 1, out.data(), DType::kBF16, run.pool); });
  const Rng rng{1, 2, 3};
  run.time("dropout 512x576", 0, 4 * kWide, 0,
           [&] { run.table.dropout(kTokens * kWidth, x.bytes.data(), out.data(), DType::kBF16, 0.1f, rng, 0, run.pool); });
  std::vector<int32_t> labels(kRows, 17), positions(kTokens);
  for (size_t i = 0; i < positions.size(); ++i) positions[i] = static_cast<int32_t>(i);
  std::vector<float> angles(static_cast<size_t>(kTokens * 32), 0.6f);
  run.time("rope 512x9x64", 0, 4 * kWide, 0, [&] {
    run.table.rope(kTokens, 9, 64, 64, x.bytes.data(), kWidth, out.data(), kWidth, DType::kBF16, positions.data(), angles.data(), angles.data(),
                   false, 1, run.pool);
  });
  run.time("cross_entropy 64x49152", 0, 16.0 * kRows * kVocab, 0, [&] {
    run.table.cross_entropy(kRows, kVocab, logits.data(), DType::kF32, labels.data(), 0.01f, loss.data(), nullptr, run.pool);
  });
  constexpr int64_t kParameters = 4'884'480;  // LoRA r16 on every linear layer of SmolLM2-135M
  std::vector<float> p(kParameters), g(kParameters, 0.01f), m(kParameters), v(kParameters);
  run.time("adamw 4.9M", 0, 28.0 * kParameters, 0, [&] {
    run.table.adamw(kParameters, p.data(), g.data(), m.data(), v.data(), 1e-4f, 0.9f, 0.999f, 1e-8f, 0.01f, 1, 0.1f, 0.001f, run.pool);
  });
  double sum = 0;
  run.time("sum_squares 4.9M", 0, 4.0 * kParameters, 0, [&] { sum += run.table.sum_squares(kParameters, g.data(), run.pool); });
  if (sum < 0) fmt::print("{}\n", sum);
}

void run_all(const Options& options) {
  const Runner run{options};
  fmt::print("{}, {} threads, {}: peak f32 {:.0f}, bf16 {:.0f} GFLOP/s\n", cpu_model(), run.pool.size(), hone::name(run.table.isa),
             run.peak_f32, run.peak_bf16);
  linear(run, "square", 1024, 1024, 1024, DType::kBF16);
  linear(run, "square", 1024, 1024, 1024, DType::kF32, 0, Precision::kF32);
  for (const DType type : {DType::kBF16, DType::kQ4_1, DType::kNF4}) {
    linear(run, "smollm2.q", 512, 576, 576, type, 16);
    linear(run, "smollm2.kv", 512, 192, 576, type, 16);
    linear(run, "smollm2.up", 512, 1536, 576, type, 16);
    linear(run, "smollm2.down", 512, 576, 1536, type, 16);
  }
  linear(run, "smollm2.head", 64, 49152, 576, DType::kBF16);
  linear(run, "smollm2.head", 64, 49152, 576, DType::kQ8_0);
  linear(run, "qwen1.5b.up", 512, 8960, 1536, DType::kBF16);
  for (const DType type : {DType::kNF4, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ8_0, DType::kQ4_K, DType::kQ5_K, DType::kQ6_K})
    linear(run, "llama7b.q", 512, 4096, 4096, type);
  for (const DType type : {DType::kBF16, DType::kNF4, DType::kQ4_K, DType::kQ8_0}) linear(run, "decode", 1, 4096, 4096, type);
  thin(run, 512, 576, 576, 16);
  thin(run, 512, 1536, 576, 16);
  thin(run, 512, 4096, 4096, 64);
  attention(run, "smollm2", 512, 9, 3, 64);
  attention(run, "smollm2", 2048, 9, 3, 64);
  attention(run, "llama7b", 512, 32, 32, 128);
  passes(run);
}

}  // namespace
}  // namespace hone::bench

int main(int argc, char** argv) {
  try {
    hone::bench::Options options;
    if (argc > 1) options.part = argv[1];
    if (argc > 2) options.repetitions = std::max(1, std::atoi(argv[2]));
    hone::bench::run_all(options);
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 1;
  }
}

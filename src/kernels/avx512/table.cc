// The simd kernels compiled for avx512. Everything but the table is in the anonymous namespace: no symbol of this file may be
// taken for another instruction set's.
#include "kernels/avx512/table.h"

#include <immintrin.h>

#include "kernels/scratch.h"
#include "quant/bf16.h"
#include "quant/blocks.h"
#include "quant/codec.h"
#include "quant/nf4.h"
#include "quant/panels.h"

namespace hone::kernels {
namespace {

using namespace hone::quant;

#include "kernels/simd/vec_avx512.inc"
#include "kernels/simd/rows.inc"
#include "kernels/simd/int8.inc"
#include "kernels/simd/pack.inc"
#include "kernels/simd/thin.inc"
#include "kernels/simd/few.inc"
#include "kernels/simd/gemm.inc"
#include "kernels/simd/elementwise.inc"
#include "kernels/simd/attention.inc"
#include "kernels/simd/cached.inc"

KernelTable make_table() {
  KernelTable table = kernels(Isa::kScalar);
  table.isa = Isa::kAvx512;
#include "kernels/simd/table.inc"
  return table;
}

}  // namespace

const KernelTable& avx512_table() {
  static const KernelTable table = make_table();
  return table;
}

}  // namespace hone::kernels

#pragma once

#include "kernels/table.h"

namespace hone::kernels {

const KernelTable& avx512_table();

}  // namespace hone::kernels

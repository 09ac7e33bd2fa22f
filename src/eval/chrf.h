// chrF (Popović, 2015) and chrF++ (Popović, 2017) with the arithmetic of sacreBLEU 2.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hone::eval {

/// chrF2: characters 1 to 6 without white space, β = 2. word_order 2 makes it chrF++.
struct ChrfOptions {
  int character_order = 6;
  int word_order = 0;
  double beta = 2;

  size_t size() const { return 3 * static_cast<size_t>(character_order + word_order); }
};

/// {prediction's, reference's, matching} n-grams of every order, against the reference that gives the best F. Rows add up to a
/// corpus. At least one reference.
std::vector<double> chrf_counts(std::string_view prediction, const std::vector<std::string>& references, const ChrfOptions& options);
/// F_β of precision and recall averaged over the orders that both sides have, 0 to 100.
double chrf(std::span<const double> counts, const ChrfOptions& options);

/// sacreBLEU's signature without its version: "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no".
std::string chrf_signature(const ChrfOptions& options, size_t references);

}  // namespace hone::eval

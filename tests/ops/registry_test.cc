// Every op has a backward pass that is checked, or refuses to run where a gradient would be lost. The list of ops is what the
// headers of src/ops declare: a new one fails here until it is entered and proved.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <string>

#include "autograd/variable.h"
#include "base/file.h"

namespace hone::ops::testing {
namespace {

namespace fs = std::filesystem;

enum class Proof {
  kDifferences,  // TEST(OpGradient, name) compares it with a double reference and that reference's central differences
  kRefusal,      // TEST(OpRefusal, name) shows it throwing at forward time when an input wants a gradient
};

const std::map<std::string, Proof>& proofs() {
  static const std::map<std::string, Proof> table = {
      {"add", Proof::kDifferences},           {"attention", Proof::kDifferences},     {"combine", Proof::kDifferences},
      {"bidirectional_attention", Proof::kRefusal}, {"gelu", Proof::kRefusal},        {"layer_norm", Proof::kRefusal},
      {"convert", Proof::kDifferences},       {"dispatch", Proof::kDifferences},      {"dropout", Proof::kDifferences},
      {"embedding", Proof::kDifferences},     {"grouped_linear", Proof::kDifferences}, {"join_columns", Proof::kDifferences},
      {"linear", Proof::kDifferences},        {"linear_cross_entropy", Proof::kDifferences},
      {"linear_onto", Proof::kDifferences},   {"linear_together", Proof::kDifferences}, {"magnitude", Proof::kDifferences},
      {"rms_norm", Proof::kDifferences},      {"rope", Proof::kDifferences},          {"route", Proof::kDifferences},
      {"scale", Proof::kDifferences},         {"split_columns", Proof::kDifferences}, {"swiglu", Proof::kDifferences},
  };
  return table;
}

// Types through which a function can hand out a place in the graph: Variable, and every struct that holds one as a result.
std::set<std::string> declared_ops(const std::string& header) {
  static const std::regex declaration(R"((?:^|\n)(?:std::vector<Variable>|Variable|TokenLoss|Assignment)\s+(\w+)\()");
  std::set<std::string> names;
  for (std::sregex_iterator it(header.begin(), header.end(), declaration), end; it != end; ++it) names.insert((*it)[1]);
  return names;
}

// Structs with a Variable member must be known to declared_ops(), or be inputs only.
std::set<std::string> structs_with_variables(const std::string& header) {
  static const std::regex definition(R"(struct (\w+) \{([^}]*)\})");
  std::set<std::string> names;
  for (std::sregex_iterator it(header.begin(), header.end(), definition), end; it != end; ++it)
    if ((*it)[2].str().find("Variable ") != std::string::npos) names.insert((*it)[1]);
  return names;
}

std::string all_of(const char* extension) {
  std::string text;
  for (const auto& entry : fs::directory_iterator(fs::path(HONE_SOURCE_DIR) / "src" / "ops"))
    if (entry.path().extension() == extension) text += read_file(entry.path()) + "\n";
  return text;
}

bool has_test(const std::string& suite, const std::string& name) {
  const auto& all = *::testing::UnitTest::GetInstance();
  for (int s = 0; s < all.total_test_suite_count(); ++s) {
    const auto* tests = all.GetTestSuite(s);
    if (tests->name() != suite) continue;
    for (int t = 0; t < tests->total_test_count(); ++t)
      if (tests->GetTestInfo(t)->name() == name) return true;
  }
  return false;
}

// What is wrong with the proofs of these headers and sources; empty when nothing is.
std::string findings(const std::string& headers, const std::string& sources) {
  std::string wrong;
  for (const std::string& op : declared_ops(headers)) {
    const auto entry = proofs().find(op);
    if (entry == proofs().end()) {
      wrong += op + " is declared in src/ops, but how its gradient is proved is not entered here\n";
      continue;
    }
    const bool differences = entry->second == Proof::kDifferences;
    if (!has_test(differences ? "OpGradient" : "OpRefusal", op)) wrong += op + " has no test of its own\n";
    const std::regex named((differences ? "record\\(\\s*\"" : "forbid_grad\\(\\s*\"") + op + "\"");
    if (!std::regex_search(sources, named)) wrong += op + " does not name itself to the graph\n";
  }
  for (const auto& [op, proof] : proofs())
    if (!declared_ops(headers).contains(op)) wrong += op + " is entered here, but not declared in src/ops\n";
  for (const std::string& name : structs_with_variables(headers))
    if (!std::set<std::string>{"TokenLoss", "Assignment", "Lora", "LinearLayer", "HeadUpdate"}.contains(name)) wrong += "struct " + name + " holds a Variable: say whether ops return it\n";
  return wrong;
}

TEST(OpRegistry, EveryOpIsProved) { EXPECT_EQ(findings(all_of(".h"), all_of(".cc")), ""); }

TEST(OpRegistry, FindsAnOpWithoutProof) {
  const std::string headers = all_of(".h"), sources = all_of(".cc");
  EXPECT_NE(findings(headers + "\nVariable tanh(const Variable& x);\n", sources), "");
  EXPECT_NE(findings(headers + "\nstd::vector<Variable> halves(const Variable& x);\n", sources), "");
  EXPECT_NE(findings(headers + "\nstruct Pair { Variable a, b; };\n", sources), "");
  EXPECT_NE(findings(headers, std::regex_replace(sources, std::regex("\"rope\""), "\"twist\"")), "");
  EXPECT_NE(findings(std::regex_replace(headers, std::regex("Variable rope"), "Variable turn"), sources), "");
}

}  // namespace
}  // namespace hone::ops::testing

#include "text/ollama_nodes.h"

namespace hone::text::ollama {

std::string literal(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\\' || c == '\'') out += '\\';
    if (c == '\n') out += "\\n";
    else if (c == '\r') out += "\\r";
    else out += c;
  }
  return out + "'";
}

void write(const Nodes& nodes, std::string& out, bool* ended) {
  for (const auto& node : nodes) {
    if (ended && *ended) return;
    switch (node->kind) {
      case Node::Kind::kText: out += "{{ " + literal(node->text) + " }}"; break;
      case Node::Kind::kSet: out += "{% set " + node->text + " %}"; break;
      case Node::Kind::kOutput:
        out += "{{ " + node->text + " }}";
        if (ended && node->answers) *ended = true;
        break;
      case Node::Kind::kIf:
        for (size_t i = 0; i < node->branches.size(); ++i) {
          const Branch& branch = node->branches[i];
          out += branch.condition.empty() ? "{% else %}" : (i == 0 ? "{% if " : "{% elif ") + branch.condition + " %}";
          write(branch.body, out, ended);
        }
        out += "{% endif %}";
        break;
      case Node::Kind::kLoop:
        out += "{% for " + node->text + " %}";
        for (size_t i = 0; i < node->branches.size(); ++i) {
          if (i > 0) out += "{% else %}";
          write(node->branches[i].body, out, ended);
        }
        out += "{% endfor %}";
        break;
    }
  }
}

}  // namespace hone::text::ollama

// A template of Ollama's in parts, whose expressions are Jinja already.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace hone::text::ollama {

struct Node;
using Nodes = std::vector<std::unique_ptr<Node>>;

struct Branch {
  std::string condition;  // Jinja; empty for else
  Nodes body;
};
struct Node {
  enum class Kind { kText, kOutput, kIf, kLoop, kSet } kind;
  std::string text;               // of kText; a Jinja expression, or for kLoop and kSet what stands in their tag
  std::vector<Branch> branches;   // of kIf: in order; of kLoop: the body, then what stands for an empty list
  bool answers = false;           // an output that writes .Response
};

/// A Jinja string of this text.
std::string literal(std::string_view text);

/// Appends the parts as a Jinja template. With `ended`, nothing is written after the first output of .Response, which sets it.
void write(const Nodes& nodes, std::string& out, bool* ended = nullptr);

}  // namespace hone::text::ollama

// Prints what a tokenizer makes of texts, for the checks in tests/program.
//
//   hone_tokenize FILE            FILE is a tokenizer.json or a GGUF. A line of hex on standard input is one text; for each, one line:
//                                 tokens | with the tokens added | special tokens as plain text | decoded, as hex, = where that is the text | without special tokens
//   hone_tokenize FILE --time X   seconds that the whole file X takes, and its number of tokens
#include <chrono>
#include <cstdio>
#include <iostream>
#include <string>

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/file.h"
#include "io/gguf.h"
#include "recipes/gguf_vocab.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace {

using namespace hone;

text::Tokenizer open(const std::string& path) {
  if (path.ends_with(".gguf")) return text::Tokenizer::from_gguf(recipes::gguf_vocab(io::Gguf::open(path)), path);
  return text::Tokenizer::from_file(path);
}

std::string unhex(const std::string& line) {
  std::string bytes;
  for (size_t i = 0; i + 1 < line.size(); i += 2) bytes += static_cast<char>(std::stoi(line.substr(i, 2), nullptr, 16));
  return bytes;
}

std::string hex(const std::string& bytes) {
  std::string line;
  for (const char c : bytes) line += fmt::format("{:02x}", static_cast<uint8_t>(c));
  return line;
}

std::string words(const std::vector<int32_t>& ids) { return fmt::format("{}", fmt::join(ids, " ")); }

int run(int argc, char** argv) {
  const text::Tokenizer tokenizer = open(argv[1]);
  if (argc == 4 && argv[2] == std::string("--time")) {
    const std::string input = read_file(argv[3], size_t{1} << 30);
    const auto start = std::chrono::steady_clock::now();
    const size_t count = tokenizer.encode(input, {.add_special = false}).size();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    std::cout << fmt::format("{:.3f} {} {}\n", took.count(), input.size(), count);
    return 0;
  }
  const auto decoded = [&](const std::vector<int32_t>& ids, bool skip_special, const std::string& input) {
    const std::string again = tokenizer.decode(ids, skip_special);
    return again == text::utf8_replace_bad(input) ? "=" : hex(again);
  };
  for (std::string line; std::getline(std::cin, line);) {
    const std::string input = unhex(line);
    const auto ids = tokenizer.encode(input, {.add_special = false});
    std::cout << words(ids) << '|' << words(tokenizer.encode(input)) << '|' << words(tokenizer.encode(input, {.add_special = false, .parse_special = false}))
              << '|' << decoded(ids, /*skip_special=*/false, input) << '|' << decoded(ids, /*skip_special=*/true, input) << '\n';
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 4) return 2;
  try {
    return run(argc, argv);
  } catch (const Error& error) {
    std::cerr << error.where() << ": " << error.message() << '\n';
    return error.exit_code();
  }
}

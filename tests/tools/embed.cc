// Sentence embeddings of the texts in a JSON list on standard input, as a JSON list: for tests/peers/sentence_check.py.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "recipes/sentence_model.h"

int main(int argc, char** argv) {
  if (argc != 2) return fmt::print(stderr, "hone_embed MODEL < texts.json > vectors.json\n"), 2;
  try {
    const auto model = hone::recipes::SentenceModel::open(argv[1]);
    const std::string input{std::istreambuf_iterator<char>(std::cin), {}};
    const auto texts = nlohmann::json::parse(input).get<std::vector<std::string>>();
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    const auto width = static_cast<size_t>(model.dimensions());
    std::vector<float> rows(views.size() * width);
    const auto start = std::chrono::steady_clock::now();
    model.embed(views, rows.data());
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    fmt::print(stderr, "{} sentences, {:.2f} s, {:.0f} per second\n", views.size(), seconds, static_cast<double>(views.size()) / seconds);
    nlohmann::json out = nlohmann::json::array();
    for (size_t i = 0; i < views.size(); ++i) out.push_back(std::vector<float>(rows.begin() + static_cast<std::ptrdiff_t>(i * width), rows.begin() + static_cast<std::ptrdiff_t>((i + 1) * width)));
    fmt::print("{}\n", out.dump());
    return 0;
  } catch (const hone::Error& error) {
    fmt::print(stderr, "{}: {}\n{}\n", error.where(), error.message(), error.hint());
    return error.exit_code();
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}

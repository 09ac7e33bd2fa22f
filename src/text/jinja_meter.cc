#include "text/jinja_meter.h"

#include <fmt/format.h>

#include <utility>

namespace hone::text::jinja {
namespace {

thread_local Budget* current = nullptr;

}  // namespace

void fail(std::string message) { throw Failure{std::move(message), /*unsupported=*/false}; }
void fail_unsupported(std::string message) { throw Failure{std::move(message), /*unsupported=*/true}; }

Meter::Meter(const Budget& budget) : left_(budget), outer_(current) { current = &left_; }
Meter::~Meter() { current = outer_; }

void charge(uint64_t units) {
  if (!current) return;
  if (units > current->work) {
    current->work = 0;
    fail("the template needs more work than a rendering may spend");
  }
  current->work -= units;
}

size_t text_limit() { return current ? current->text_bytes : Budget{}.text_bytes; }

void charge_text(size_t bytes) {
  if (bytes > text_limit()) fail(fmt::format("the template makes a text longer than {} bytes", text_limit()));
  charge(1 + bytes / 32);
}

}  // namespace hone::text::jinja

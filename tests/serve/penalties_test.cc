// Penalties on logits.
#include "serve/models/penalties.h"

#include <gmock/gmock.h>

namespace hone::serve {
namespace {

TEST(Penalties, TakeOffWhatTheAnswerHolds) {
  Penalties penalties({.presence = 1, .frequency = 0.5f, .bias = {{0, 3.0f}, {99, 1.0f}}}, nullptr);
  for (const int32_t id : {1, 2, 2, 77}) penalties.accept(id);
  std::vector<float> logits(4, 0.0f);
  penalties.apply(logits);
  EXPECT_THAT(logits, testing::ElementsAre(3, -1.5f, -2, 0));
}

}  // namespace
}  // namespace hone::serve

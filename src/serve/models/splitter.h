// What text/answer_splitter.h takes apart, by the names that serving uses.
#pragma once

#include "text/answer_splitter.h"

namespace hone::serve {

using Part = text::AnswerPart;
using Splitter = text::AnswerSplitter;
using text::parse_tool_calls;
using text::SplitOptions;
using text::ToolCall;

}  // namespace hone::serve

// The top-level fields of requests, API by API: what becomes of each. docs/formats.md is printed from these tables.
#pragma once

#include "base/known_keys.h"
#include "serve/api/fields.h"

namespace hone::serve {

KeyTable chat_completion_keys();  // POST /v1/chat/completions
KeyTable completion_keys();       // POST /v1/completions
KeyTable response_keys();         // POST /v1/responses
KeyTable message_keys();          // POST /v1/messages
KeyTable ollama_chat_keys();      // POST /api/chat
KeyTable ollama_generate_keys();  // POST /api/generate
KeyTable ollama_create_keys();    // POST /api/create
KeyTable embedding_keys();        // POST /v1/embeddings
KeyTable ollama_embed_keys();     // POST /api/embed, /api/embeddings

/// Throws Error{kUnsupported} naming the field for one that would change the answer and is not computed. note_once() tells of those
/// that are passed over or unknown; `route` names the request there.
void check_keys(KeyTable table, const Json& body, std::string_view route);

}  // namespace hone::serve

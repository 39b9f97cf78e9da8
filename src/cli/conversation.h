// Conversation: messages, the chat template, and answers streamed from an engine. When the messages no longer fit the
// context, the oldest turns are left out (the system message stays), and Answer says how many.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "cli/command.h"
#include "transom/chat_template.h"
#include "transom/engine.h"

namespace transom::cli {

class Conversation {
 public:
  // `variables` are extra template variables. All arguments are kept; `engine` must outlive this.
  Conversation(Engine& engine, Tokenizer tokenizer, ChatTemplate chat_template, Json variables);

  void set_system(const std::string& text);  // "" removes it
  void clear();                               // forgets all turns, not the system message
  size_t turns() const;                       // questions that have been asked
  // Takes the last question and its answer back; returns the question, or "" when there is none.
  std::string take_back();

  struct Answer {
    std::string text, finish_reason;  // "stop", "length" or "cancelled"
    int64_t prompt_tokens = 0, tokens = 0;
    size_t dropped_turns = 0;         // left out of this prompt for want of room
    double prefill_s = 0, decode_s = 0;
  };
  // Asks and streams: `on_text` gets each final piece and returns false to stop. Question and answer become a turn, also
  // when stopped. `max_tokens` 0: as many as the context holds. On an Error the conversation is as before.
  Answer ask(const std::string& question, const SamplingParams& sampling, int max_tokens,
             const std::function<bool(std::string_view)>& on_text);

 private:
  std::vector<int32_t> prompt_ids(const Json& messages) const;
  // Ids of the messages without the oldest turns, so that `room` tokens are left; counts the dropped ones.
  std::vector<int32_t> fitting_prompt(Json& messages, int64_t room, size_t& dropped) const;
  void generate(Request request, Answer& answer, const std::function<bool(std::string_view)>& on_text);

  Engine& engine_;
  Tokenizer tokenizer_;
  ChatTemplate template_;
  Json variables_;
  Json system_ = nullptr;         // a message, or null
  Json turns_ = Json::array();    // user and assistant messages in turn
};

}  // namespace transom::cli

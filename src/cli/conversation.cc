// Conversation: see conversation.h.
#include "cli/conversation.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace transom::cli {
namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Tokens that a prompt leaves for the answer before old turns are dropped.
constexpr int64_t kAnswerRoom = 256;

}  // namespace

Conversation::Conversation(Engine& engine, Tokenizer tokenizer, ChatTemplate chat_template, Json variables)
    : engine_(engine),
      tokenizer_(std::move(tokenizer)),
      template_(std::move(chat_template)),
      variables_(std::move(variables)) {}

void Conversation::set_system(const std::string& text) {
  system_ = text.empty() ? Json(nullptr) : Json{{"role", "system"}, {"content", text}};
}

void Conversation::clear() { turns_ = Json::array(); }

size_t Conversation::turns() const { return turns_.size() / 2; }

std::string Conversation::take_back() {
  if (turns_.size() < 2) return "";
  const std::string question = turns_[turns_.size() - 2]["content"].get<std::string>();
  turns_.erase(turns_.size() - 1);
  turns_.erase(turns_.size() - 1);
  return question;
}

std::vector<int32_t> Conversation::prompt_ids(const Json& messages) const {
  Json all = messages;
  if (!system_.is_null()) all.insert(all.begin(), system_);
  ChatTemplate::Options options;
  options.variables = variables_;
  return tokenizer_.encode(template_.render(all, options), /*add_special_tokens=*/false);  // the template writes them
}

std::vector<int32_t> Conversation::fitting_prompt(Json& messages, int64_t room, size_t& dropped) const {
  const int64_t limit = engine_.max_model_len();
  for (;;) {
    std::vector<int32_t> ids = prompt_ids(messages);
    const auto size = static_cast<int64_t>(ids.size());
    if (limit <= 0 || size + room <= limit || messages.size() <= 1) return ids;
    messages.erase(messages.begin(), messages.begin() + 2);
    ++dropped;
  }
}

void Conversation::generate(Request request, Answer& answer, const std::function<bool(std::string_view)>& on_text) {
  const Clock::time_point start = Clock::now();
  const uint64_t id = engine_.submit(std::move(request));
  std::string error;
  bool stopping = false;
  const auto report = [&](const Output& output) {
    if (output.request != id) return;
    if (output.token && answer.tokens++ == 0) answer.prefill_s = since(start);
    answer.text += output.text;
    answer.finish_reason = output.finish_reason;
    if (!output.error.empty()) error = output.error;
    if (!stopping && !on_text(output.text)) stopping = true;
  };
  for (bool cancelled = false; engine_.step(report);)
    if (stopping && !std::exchange(cancelled, true)) engine_.cancel(id);
  answer.decode_s = since(start) - answer.prefill_s;
  if (!error.empty()) throw Error(Code::kInternal, error, "chat");
}

Conversation::Answer Conversation::ask(const std::string& question, const SamplingParams& sampling, int max_tokens,
                                       const std::function<bool(std::string_view)>& on_text) {
  Answer answer;
  Json messages = turns_;
  messages.push_back({{"role", "user"}, {"content", question}});
  const int64_t limit = engine_.max_model_len();
  const int64_t room = std::min<int64_t>(max_tokens > 0 ? max_tokens : kAnswerRoom, limit > 0 ? limit / 4 : kAnswerRoom);
  Request request{.prompt = fitting_prompt(messages, std::max<int64_t>(room, 1), answer.dropped_turns),
                  .sampling = sampling};
  answer.prompt_tokens = static_cast<int64_t>(request.prompt.size());
  const int64_t left = limit > 0 ? std::max<int64_t>(limit - answer.prompt_tokens, 1) : 2048;
  request.sampling.max_tokens = static_cast<int>(max_tokens > 0 ? std::min<int64_t>(max_tokens, left) : left);
  generate(std::move(request), answer, on_text);
  turns_.push_back({{"role", "user"}, {"content", question}});
  turns_.push_back({{"role", "assistant"}, {"content", answer.text}});
  return answer;
}

}  // namespace transom::cli

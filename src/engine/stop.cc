// See stop.h.
#include "engine/stop.h"

#include <algorithm>

#include "base/error.h"

namespace transom {

StopStrings::StopStrings(std::vector<std::string> stop, bool include) : include_(include) {
  for (std::string& text : stop) {
    CHECK(!text.empty());
    std::vector<uint32_t> fallback(text.size(), 0);
    for (size_t i = 1; i < text.size(); ++i) {
      uint32_t k = fallback[i - 1];
      while (k > 0 && text[i] != text[k]) k = fallback[k - 1];
      fallback[i] = text[i] == text[k] ? k + 1 : 0;
    }
    stops_.push_back({std::move(text), std::move(fallback), 0});
  }
}

std::optional<size_t> StopStrings::push(std::string_view piece, std::string& out, bool armed) {
  if (stops_.empty() || !armed) {
    finish(out);
    out += piece;
    return std::nullopt;
  }
  held_ += piece;  // from here on: all text that is not given yet
  for (size_t at = held_.size() - piece.size(); at < held_.size(); ++at) {
    std::optional<size_t> completed;
    for (size_t i = 0; i < stops_.size(); ++i) {
      Stop& s = stops_[i];
      while (s.matched > 0 && s.text[s.matched] != held_[at]) s.matched = s.fallback[s.matched - 1];
      if (s.text[s.matched] == held_[at]) ++s.matched;
      if (s.matched < s.text.size()) continue;
      if (!completed || s.text.size() > stops_[*completed].text.size()) completed = i;
    }
    if (completed) {
      const size_t end = at + 1;
      out.append(held_, 0, include_ ? end : end - stops_[*completed].text.size());
      held_.clear();
      for (Stop& s : stops_) s.matched = 0;
      return completed;
    }
  }
  size_t keep = 0;
  for (const Stop& s : stops_) keep = std::max<size_t>(keep, s.matched);
  out.append(held_, 0, held_.size() - keep);
  held_.erase(0, held_.size() - keep);
  return std::nullopt;
}

void StopStrings::finish(std::string& out) {
  out += held_;
  held_.clear();
  for (Stop& s : stops_) s.matched = 0;
}

}  // namespace transom

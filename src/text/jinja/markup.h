// HTML helpers of filters: links in text, tags out of text.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace transom::jinja {

// Markup(s).striptags(): tags and comments removed, white space collapsed, character references resolved (numeric ones
// and the common named ones).
std::string strip_tags(std::string_view s);

struct LinkOptions {
  std::function<int64_t()> trim;  // the longest URL to show; empty: any
  std::string rel, target;
  std::vector<std::string> extra_schemes;
};
// jinja2.utils.urlize
std::string link_urls(std::string_view s, const LinkOptions& options);
// urllib.parse.quote; for a query "/" is quoted too and a space is "+".
std::string url_quote(std::string_view s, bool query);

}  // namespace transom::jinja

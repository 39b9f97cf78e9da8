// HTML helpers: see markup.h. Rules after markupsafe and jinja2/utils.py, restated.
#include "text/jinja/markup.h"

#include <algorithm>

#include "text/jinja/repr.h"
#include "text/jinja/unicode.h"

namespace transom::jinja {
namespace {

std::string collapse_spaces(std::string_view s) {
  std::string out;
  while (!(s = strip(s, true, false)).empty()) {
    size_t end = 0;
    for (size_t p = 0; p < s.size(); end = p)
      if (is_space(next_char(s, p))) break;
    if (!out.empty()) out += ' ';
    out += s.substr(0, end);
    s = s.substr(end);
  }
  return out;
}

std::string unescape_html(std::string_view s) {
  constexpr std::pair<std::string_view, char32_t> kNames[] = {
      {"amp;", '&'}, {"lt;", '<'}, {"gt;", '>'}, {"quot;", '"'}, {"apos;", '\''}, {"nbsp;", 0xa0}, {"copy;", 0xa9},
      {"reg;", 0xae}, {"laquo;", 0xab}, {"raquo;", 0xbb}, {"hellip;", 0x2026}, {"ndash;", 0x2013}, {"mdash;", 0x2014},
      {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"nbsp", 0xa0}, {"copy", 0xa9}, {"reg", 0xae}};
  std::string out;
  for (size_t i = 0; i < s.size();) {
    if (s[i] != '&') {
      out += s[i++];
      continue;
    }
    const std::string_view rest = s.substr(i + 1);
    if (rest.size() > 1 && rest[0] == '#') {
      const bool hex = (rest[1] | 0x20) == 'x';
      const size_t begin = hex ? 2 : 1;
      const size_t end = std::min(rest.find_first_not_of(hex ? "0123456789abcdefABCDEF" : "0123456789", begin), rest.size());
      if (end > begin && end - begin < 9) {
        const auto c = static_cast<char32_t>(std::stoul(std::string(rest.substr(begin, end - begin)), nullptr, hex ? 16 : 10));
        append_char(out, c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0xfffd : c);
        i += 1 + end + (end < rest.size() && rest[end] == ';' ? 1 : 0);
        continue;
      }
    }
    const auto* name = std::find_if(std::begin(kNames), std::end(kNames), [&](const auto& n) { return rest.starts_with(n.first); });
    if (name == std::end(kNames)) {
      out += s[i++];
      continue;
    }
    append_char(out, name->second);
    i += 1 + name->first.size();
  }
  return out;
}

bool all_of(std::string_view s, std::string_view extra) {
  for (size_t p = 0; p < s.size();) {
    const char32_t c = next_char(s, p);
    if (!is_word(c) && (c >= 0x80 || extra.find(static_cast<char>(c)) == std::string_view::npos)) return false;
  }
  return true;
}

std::vector<std::string_view> split_dots(std::string_view s) {
  std::vector<std::string_view> out;
  for (;;) {
    const size_t dot = s.find('.');
    out.push_back(s.substr(0, dot));
    if (dot == std::string_view::npos) return out;
    s = s.substr(dot + 1);
  }
}

bool is_tld(std::string_view s) {
  const std::string l = lower(s);
  if (l.starts_with("xn--")) return count_chars(l) >= 6 && count_chars(l) <= 63 && all_of(l.substr(4), "%");
  return l.size() >= 2 && l.size() <= 63 && std::all_of(l.begin(), l.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

bool is_ip(std::string_view host) {
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    const std::string_view inner = host.substr(1, host.size() - 2);
    const auto colons = std::count(inner.begin(), inner.end(), ':');
    return inner.find_first_not_of("0123456789abcdefABCDEF:") == std::string_view::npos && colons >= 2 && colons <= 8;
  }
  const auto parts = split_dots(host);
  return parts.size() == 4 && std::all_of(parts.begin(), parts.end(), [](std::string_view p) {
           return !p.empty() && p.size() <= 3 && p.find_first_not_of("0123456789") == std::string_view::npos;
         });
}

bool is_url(std::string_view s) {
  const std::string low = lower(s.substr(0, 8));
  const size_t scheme = low.starts_with("https://") ? 8 : low.starts_with("http://") ? 7 : 0;
  const bool www = low.starts_with("www.");
  const std::string_view body = s.substr(scheme);
  size_t end = body.starts_with("[") ? body.find(']') : std::string_view::npos;
  end = std::min(end == std::string_view::npos ? body.find_first_of(":/?#") : end + 1, body.size());
  std::string_view rest = body.substr(end);
  if (rest.starts_with(":")) {
    const size_t digits = std::min(rest.find_first_not_of("0123456789", 1), rest.size());
    if (digits < 2 || digits > 6) return false;
    rest = rest.substr(digits);
  }
  if (!rest.empty() && std::string_view("/?#").find(rest[0]) == std::string_view::npos) return false;
  const std::string_view host = body.substr(0, end);
  if (scheme && is_ip(host)) return true;
  const auto labels = [&](std::string_view h, size_t least) {
    auto parts = split_dots(h);
    parts.pop_back();
    return std::all_of(parts.begin(), parts.end(), [&](std::string_view p) { return count_chars(p) >= least && all_of(p, "%-"); });
  };
  const std::string_view last = split_dots(host).back();
  if ((scheme || www) && is_tld(last) && labels(www && !scheme ? host.substr(4) : host, 1)) return true;
  constexpr std::string_view kBasic[] = {"com", "net", "int", "edu", "gov", "org", "info", "mil"};
  return !scheme && host.find('.') != std::string_view::npos &&
         std::find(std::begin(kBasic), std::end(kBasic), lower(last)) != std::end(kBasic) && labels(host, 2);
}

bool is_email(std::string_view s) {
  const size_t at = s.rfind('@');
  if (at == 0 || at == std::string_view::npos) return false;
  const std::string_view domain = s.substr(at + 1);
  const size_t dot = domain.rfind('.');
  if (dot == std::string_view::npos || dot == 0 || dot + 1 == domain.size()) return false;
  size_t p = 0;
  return is_word(next_char(domain, p)) && all_of(domain, ".-") && all_of(domain.substr(dot + 1), "");
}

size_t count_of(std::string_view s, std::string_view what) {
  size_t n = 0;
  for (size_t at = s.find(what); at != std::string_view::npos; at = s.find(what, at + what.size())) ++n;
  return n;
}

// Takes "(", "<" and the like off a word's front and ")", ".", "," … off its end, keeping brackets balanced.
void split_word(std::string_view word, std::string& head, std::string& middle, std::string& tail) {
  size_t begin = 0;
  for (;;) {
    const std::string_view rest = word.substr(begin);
    if (rest.starts_with("(") || rest.starts_with("<")) ++begin;
    else if (rest.starts_with("&lt;")) begin += 4;
    else break;
  }
  size_t end = word.size();
  while (end > begin) {
    const std::string_view rest = word.substr(begin, end - begin);
    if (rest.ends_with("&gt;")) end -= 4;
    else if (std::string_view(")>.,\n").find(rest.back()) != std::string_view::npos) --end;
    else break;
  }
  head = word.substr(0, begin), middle = word.substr(begin, end - begin), tail = word.substr(end);
  constexpr std::pair<std::string_view, std::string_view> kPairs[] = {{"(", ")"}, {"<", ">"}, {"&lt;", "&gt;"}};
  for (const auto& [open, close] : kPairs) {
    const size_t opens = count_of(middle, open);
    if (opens <= count_of(middle, close)) continue;
    for (size_t n = std::min(opens, count_of(tail, close)); n > 0; --n) {
      const size_t cut = tail.find(close) + close.size();
      middle += tail.substr(0, cut);
      tail = tail.substr(cut);
    }
  }
}

std::string link_word(std::string_view word, const LinkOptions& o) {
  std::string head, middle, tail;
  split_word(word, head, middle, tail);
  const auto shown = [&](const std::string& url) {
    const int64_t size = static_cast<int64_t>(count_chars(url)), limit = o.trim ? o.trim() : size;
    if (size <= limit) return url;
    const int64_t keep = limit < 0 ? std::max<int64_t>(0, size + limit) : limit;
    return url.substr(0, char_offset(url, static_cast<size_t>(keep))) + "...";
  };
  const std::string rel = o.rel.empty() ? "" : " rel=\"" + escape_html(o.rel) + "\"";
  const std::string target = o.target.empty() ? "" : " target=\"" + escape_html(o.target) + "\"";
  if (is_url(middle)) {
    const bool full = middle.starts_with("https://") || middle.starts_with("http://");
    middle = "<a href=\"" + std::string(full ? "" : "https://") + middle + "\"" + rel + target + ">" + shown(middle) + "</a>";
  } else if (middle.starts_with("mailto:") && is_email(std::string_view(middle).substr(7))) {
    middle = "<a href=\"" + middle + "\">" + middle.substr(7) + "</a>";
  } else if (!middle.starts_with("www.") && !middle.starts_with("@") && middle.find(':') == std::string::npos && is_email(middle)) {
    middle = "<a href=\"mailto:" + middle + "\">" + middle + "</a>";
  } else {
    for (const std::string& scheme : o.extra_schemes)
      if (middle != scheme && middle.starts_with(scheme)) middle = "<a href=\"" + middle + "\"" + rel + target + ">" + middle + "</a>";
  }
  return head + middle + tail;
}

}  // namespace

std::string strip_tags(std::string_view s) {
  std::string out;
  size_t from = 0;
  for (size_t at = s.find('<'); at != std::string_view::npos; at = s.find('<', from)) {
    const bool comment = s.substr(at).starts_with("<!--");
    const size_t close = comment ? s.find("-->", at + 4) : s.find('>', at);
    if (close == std::string_view::npos) break;
    out += s.substr(from, at - from);
    from = close + (comment ? 3 : 1);
  }
  out += s.substr(from);
  return unescape_html(collapse_spaces(out));
}

std::string link_urls(std::string_view s, const LinkOptions& options) {
  std::string out;
  for (size_t p = 0; p < s.size();) {
    const size_t begin = p;
    const bool space = is_space(next_char(s, p));
    for (size_t q = p; p < s.size() && is_space(next_char(s, q)) == space;) p = q;
    const std::string_view part = s.substr(begin, p - begin);
    out += space ? std::string(part) : link_word(part, options);
  }
  return out;
}

std::string url_quote(std::string_view s, bool query) {
  std::string out;
  for (char c : s) {
    const unsigned char b = static_cast<unsigned char>(c);
    const bool plain = is_alnum(b < 0x80 ? b : 0) || std::string_view("_.-~").find(c) != std::string_view::npos || (c == '/' && !query);
    if (plain && b < 0x80) out += c;
    else if (c == ' ' && query) out += '+';
    else out += '%', out += "0123456789ABCDEF"[b >> 4], out += "0123456789ABCDEF"[b & 15];
  }
  return out;
}

}  // namespace transom::jinja

// Strings as Python sees them: sequences of code points, stored as UTF-8 (lone surrogates as three bytes, which Python
// strings may hold), with str's character properties and full case mappings (Unicode 14.0).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace transom::jinja {

// The code point at `pos`, which moves past it. Bytes that are no UTF-8 count as one U+FFFD each.
char32_t next_char(std::string_view s, size_t& pos);
// The code point that ends at `pos` (> 0), which moves to its start.
char32_t previous_char(std::string_view s, size_t& pos);
void append_char(std::string& out, char32_t c);
std::string char_string(char32_t c);
size_t count_chars(std::string_view s);
// The byte position of code point `index` (at most the length).
size_t char_offset(std::string_view s, size_t index);
std::u32string to_chars32(std::string_view s);
std::string from_chars32(std::u32string_view s);
// Replaces bytes that are no UTF-8 by U+FFFD; surrogates stay.
std::string valid_utf8(std::string_view s);
bool has_surrogate(std::string_view s);

bool is_alpha(char32_t c);
bool is_decimal(char32_t c);
bool is_digit(char32_t c);
bool is_numeric(char32_t c);
bool is_alnum(char32_t c);
bool is_space(char32_t c);
bool is_printable(char32_t c);
bool is_lower(char32_t c);
bool is_upper(char32_t c);
bool is_title(char32_t c);
bool is_cased(char32_t c);
bool is_id_start(char32_t c);
bool is_id_continue(char32_t c);
bool is_word(char32_t c);                       // \w of Python's re
std::optional<int> decimal_value(char32_t c);   // 0–9 of any script

// str.lower(), upper(), title(), capitalize(), swapcase(), casefold()
std::string lower(std::string_view s);
std::string upper(std::string_view s);
std::string title(std::string_view s);
std::string capitalize(std::string_view s);
std::string swapcase(std::string_view s);
std::string casefold(std::string_view s);

// str.strip() without arguments, and its halves.
std::string_view strip(std::string_view s, bool left = true, bool right = true);
bool is_identifier(std::string_view s);

}  // namespace transom::jinja

// The Jinja engine against Python's: tests/text/data/jinja_cases.json holds templates with what jinja2, set up as
// transformers does it, makes of them (scripts/make_jinja_goldens.py); and what Python cannot give: bounds, lines, names.
#include <gtest/gtest.h>

#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "text/jinja/engine.h"
#include "text/jinja/number.h"
#include "text/jinja/unicode.h"

namespace transom {
namespace {

std::string render(const std::string& source, const Json& variables = Json::object(), const jinja::Limits& limits = {}) {
  return jinja::Template(source, "test").render(variables, {.limits = limits});
}

Error failure(const std::string& source, const Json& variables = Json::object(), const jinja::Limits& limits = {}) {
  try {
    const std::string text = render(source, variables, limits);
    ADD_FAILURE() << source << " gave " << text.substr(0, 200);
  } catch (const Error& e) {
    return e;
  }
  return Error(Code::kInternal, "no error");
}

TEST(Jinja, EqualsPython) {
  const std::string path = std::string(TRANSOM_SOURCE_DIR) + "/tests/text/data/jinja_cases.json";
  const Json golden = jinja::parse_exact_json(read_file(path), path);
  // the goldens' clock: 2024-07-26 12:34:56.123456, local time
  std::tm tm{};
  tm.tm_year = 124, tm.tm_mon = 6, tm.tm_mday = 26, tm.tm_hour = 12, tm.tm_min = 34, tm.tm_sec = 56, tm.tm_isdst = -1;
  const auto now = std::chrono::system_clock::from_time_t(std::mktime(&tm)) + std::chrono::microseconds(123456);
  const Json& variables = golden["variables"];
  ASSERT_GE(golden["cases"].size(), 300u);
  for (const Json& c : golden["cases"]) {
    const std::string source = c["template"].get<std::string>();
    try {
      const std::string text = jinja::Template(source, "test").render(variables, {.now = now});
      if (!c.contains("text")) ADD_FAILURE() << source << "\nexpected an error, got: " << text;
      else EXPECT_EQ(text, c["text"].get<std::string>()) << source;
    } catch (const Error& e) {
      if (c.contains("text")) ADD_FAILURE() << source << "\n" << e.what();
      if (c.contains("raised")) EXPECT_EQ(e.message(), c["raised"].get<std::string>()) << source;
    }
  }
}

TEST(Jinja, ErrorsCarryNameAndLine) {
  EXPECT_STREQ(failure("a\n{% if %}{% endif %}").what(), "test, line 2: Expected an expression, got 'end of the tag'");
  EXPECT_EQ(failure("a\n\n{{ 1 + 'a' }}").context(), "test, line 3");
  EXPECT_EQ(failure("{% macro m() %}\n{{ x.y }}\n{% endmacro %}\n\n{{ m() }}").context(), "test, line 2");
  EXPECT_EQ(failure("{% macro m() %}x{% endmacro %}\n{{ m() }}\n{{ m() + 1 }}").context(), "test, line 3");
  EXPECT_EQ(failure("{{ raise_exception('no\nway') }}").message(), "no\nway");
  EXPECT_EQ(failure("\n{{ 'x' | nosuch }}").context(), "test, line 2");
  EXPECT_EQ(failure("{{ x.y }}").message(), "'x' is undefined");
  EXPECT_EQ(failure("{{ x.y.z }}", {{"x", Json::object()}}).message(), "'dict object' has no attribute 'y'");
}

// Templates that would exhaust memory, time or the stack in Python. Each must end soon with one line.
TEST(Jinja, HostileTemplatesMeetABound) {
  const std::string parens(5000, '('), brackets(5000, '[');
  std::string sum = "1", filters = "x", blocks;
  for (int i = 0; i < 5000; ++i) sum += "+1", filters += "|upper", blocks += "{% if 1 %}";
  std::string not_chain;
  for (int i = 0; i < 5000; ++i) not_chain += "not ";
  for (const std::string& source : {
           std::string("{{ 'x' * 10 ** 10 }}"), std::string("{{ [1] * 10 ** 12 }}"), std::string("{{ 'a'.ljust(10 ** 12) }}"),
           std::string("{{ 10 ** (10 ** 9) }}"), std::string("{{ 'abc' | center(10 ** 11) }}"), std::string("{{ '%999999999d' % 1 }}"),
           std::string("{{ '{:999999999}'.format(1) }}"), std::string("{{ '{:.999999999f}'.format(1.5) }}"),
           std::string("{{ ('a' * 30000).replace('a', 'b' * 30000) }}"), std::string("{{ ('a' * 100000).join('b' * 100000) }}"),
           std::string("{{ 'a\\n' * 100000 | indent(100000) }}"), std::string("{{ range(10 ** 9) }}"),
           std::string("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}"),
           std::string("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"),
           std::string("{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}"),
           std::string("{% for x in [[1]] recursive %}{{ loop([x]) }}{% endfor %}"),
           std::string("{% block a %}{{ self.a() }}{% endblock %}"),
           std::string("{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}"),
           std::string("{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}"),
           std::string("{% set ns = namespace(l=[]) %}{% for i in range(1000) %}{% set ns.l = ns.l|map('upper') %}{% endfor %}{{ ns.l|list }}"),
           std::string("{% set ns = namespace(l=[1]) %}{% for i in range(1000) %}{% for x in [ns.l] %}{% set ns.l = loop %}{% endfor %}"
                       "{% endfor %}"),
           std::string("{% set ns = namespace(l=[]) %}{% for i in range(40) %}{% set ns.l = ns.l + ns.l + ['" + std::string(99, 'x') +
                       "'] %}{% endfor %}{{ ns.l|tojson }}"),
           "{{ " + parens, "{{ " + brackets, "{{ " + not_chain + "1 }}", "{{ " + sum + " }}", "{{ " + filters + " }}", blocks,
           "{{ x" + std::string(5000, '.') + " }}", "{{ " + std::string(5000, '-') + "1 }}",
       }) {
    // fewer steps than the default, so that a sanitizer build is quick too; memory and depth are bounded as always
    const Error e = failure(source, Json::object(), {.steps = 2'000'000});
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << source.substr(0, 80);
    EXPECT_LT(std::string(e.what()).size(), 400u) << source.substr(0, 80);
  }
}

TEST(Jinja, BoundsAreExact) {
  EXPECT_EQ(failure("{% for i in range(1000) %}{% endfor %}", {}, {.steps = 500}).code(), Code::kResource);
  EXPECT_EQ(render("{% for i in range(100) %}{% endfor %}ok", {}, {.steps = 500}), "ok");
  EXPECT_EQ(failure("{{ 'x' * 5000 }}", {}, {.bytes = 4000}).code(), Code::kResource);
  EXPECT_EQ(render("{{ ('x' * 1000)|length }}", {}, {.bytes = 8000}), "1000");
  std::string elifs = "{% if 0 %}";
  for (int i = 0; i < 2000; ++i) elifs += "{% elif 0 %}";
  EXPECT_EQ(render(elifs + "{% else %}end{% endif %}"), "end") << "a long chain of conditions is no nesting";
}

TEST(Jinja, LongConversationsStayLinear) {
  Json messages = Json::array();
  for (int i = 0; i < 20000; ++i)
    messages.push_back({{"role", i % 2 ? "assistant" : "user"}, {"content", "text of some length " + std::to_string(i)}});
  const std::string source =
      "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m.content | trim }}{% if not loop.last and loop.nextitem.role != m.role %},"
      "{% endif %}{% endfor %}";
  EXPECT_GT(render(source, {{"messages", messages}}).size(), 20000u * 30);
}

TEST(Jinja, OneTemplateServesManyThreads) {
  const jinja::Template t("{% macro m(x) %}<{{ x }}>{% endmacro %}{% for i in l %}{{ m(i ~ 'suffix') }}{% endfor %}", "test");
  std::vector<std::string> out(4);
  std::vector<std::thread> threads;
  for (size_t k = 0; k < out.size(); ++k)
    threads.emplace_back([&, k] {
      for (int i = 0; i < 200; ++i) out[k] = t.render({{"l", {k, i}}}, {});
    });
  for (auto& thread : threads) thread.join();
  for (size_t k = 0; k < out.size(); ++k) EXPECT_EQ(out[k], "<" + std::to_string(k) + "suffix><199suffix>");
}

TEST(Jinja, IntegersBeyond64BitsStayExact) {
  const Json v = jinja::parse_exact_json(
      R"({"big": 123456789012345678901234567890, "list": [-99999999999999999999, 18446744073709551615]})", "t");
  EXPECT_EQ(render("{{ big }} {{ list }} {{ big + 1 }} {{ list[1] + 1 }} {{ [big]|tojson }}", v),
            "123456789012345678901234567890 [-99999999999999999999, 18446744073709551615] 123456789012345678901234567891 "
            "18446744073709551616 [123456789012345678901234567890]");
  EXPECT_EQ(failure("{{ x }}", {{"x", Json::binary({1, 2})}}).code(), Code::kInvalidArgument);
  EXPECT_THROW(jinja::parse_exact_json("{\"a\":", "t"), Error);
}

TEST(Jinja, FloatsPrintAsRepr) {
  EXPECT_EQ(jinja::float_repr(1e16), "1e+16");
  EXPECT_EQ(jinja::float_repr(9999999999999998.0), "9999999999999998.0");
  EXPECT_EQ(jinja::float_repr(0.0001), "0.0001");
  EXPECT_EQ(jinja::float_repr(0.00001), "1e-05");
  EXPECT_EQ(jinja::float_repr(-0.0), "-0.0");
  EXPECT_EQ(jinja::float_repr(5e-324), "5e-324");
  EXPECT_EQ(jinja::float_repr(1.7976931348623157e308), "1.7976931348623157e+308");
}

TEST(Jinja, InvalidUtf8BecomesReplacementCharacters) {
  EXPECT_EQ(render("{{ x|length }}{{ x }}", {{"x", "a\xff\xc3"}}), "3a\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(render("\xff{{ 1 }}"), "\xEF\xBF\xBD" "1");
  EXPECT_EQ(failure("{{ '\\ud800' }}").code(), Code::kInvalidArgument) << "a lone surrogate has no UTF-8";
  EXPECT_EQ(render("{{ '\\ud800'|length }}"), "1");
}

TEST(Jinja, UnicodeTables) {
  EXPECT_EQ(jinja::upper("ßŉǰ"), "SSʼNJ̌");
  EXPECT_EQ(jinja::lower("İ"), "i̇");
  EXPECT_EQ(jinja::title("ǆ ﬁne"), "ǅ Fine");
  EXPECT_EQ(jinja::lower("ΟΔΟΣ ΟΔΟΣΑ"), "οδος οδοσα");
  EXPECT_TRUE(jinja::is_space(0x2003) && jinja::is_space(0x1c) && !jinja::is_space(0x200b));
  EXPECT_EQ(jinja::decimal_value(0x0663), 3);
}

}  // namespace
}  // namespace transom

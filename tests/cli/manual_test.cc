// The man page and completions hold every command and flag that --help shows, and the shells accept them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>

#include "cli/program.h"

namespace transom {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// Commands, and the long flags of each, read off --help.
std::vector<std::string> commands() {
  std::vector<std::string> names;
  const std::string help = run_transom({"--help"}).out;
  const std::regex row(R"(\n  ([a-z]+) )");
  for (std::sregex_iterator it(help.begin() + static_cast<long>(help.find("Subcommands:")), help.end(), row), end; it != end; ++it)
    names.push_back((*it)[1]);
  return names;
}

std::set<std::string> flags(const std::string& command) {
  std::set<std::string> names;
  const std::string help = run_transom({command, "--help"}).out;
  const std::regex flag(R"(\n  (?:-\w,)?(--[a-z-]+))");
  for (std::sregex_iterator it(help.begin(), help.end(), flag), end; it != end; ++it) names.insert((*it)[1]);
  return names;
}

class TempFile {
 public:
  explicit TempFile(const std::string& text) {
    std::string pattern = (fs::temp_directory_path() / "transom-manual-XXXXXX").string();
    const int fd = mkstemp(pattern.data());
    close(fd);
    path = pattern;
    std::ofstream(path) << text;
  }
  ~TempFile() { fs::remove(path); }
  std::string path;
};

std::string unescaped(std::string roff) {
  return std::regex_replace(roff, std::regex(R"(\\-)"), "-");
}

TEST(Manual, TheManPageHasEveryCommandAndFlag) {
  const Result page = run_transom({"--print-man"});
  ASSERT_EQ(page.code, 0) << page.err;
  EXPECT_EQ(page.out.rfind(".TH TRANSOM 1", 0), 0u);
  const std::string text = unescaped(page.out);
  const auto names = commands();
  ASSERT_GE(names.size(), 15u);
  for (const std::string& command : names) {
    EXPECT_THAT(text, HasSubstr(".SS transom " + command + "\n"));
    for (const std::string& flag : flags(command))
      if (flag != "--help") EXPECT_THAT(text, HasSubstr("\\fB" + flag + "\\fR")) << command;
  }
}

TEST(Manual, GroffFindsNoFaultInTheManPage) {
  if (!fs::exists("/usr/bin/groff")) GTEST_SKIP() << "no groff";
  const TempFile page(run_transom({"--print-man"}).out);
  const Result r = run_program("/usr/bin/groff", {"-man", "-Tutf8", "-ww", "-z", page.path});
  EXPECT_EQ(r.code, 0);
  EXPECT_EQ(r.err, "");
}

TEST(Completion, EveryShellKnowsEveryCommandAndFlag) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const Result script = run_transom({"--print-completion", shell});
    ASSERT_EQ(script.code, 0) << script.err;
    for (const std::string& command : commands()) {
      EXPECT_THAT(script.out, HasSubstr(command)) << shell;
      for (const std::string& flag : flags(command))
        EXPECT_THAT(script.out, HasSubstr(std::string(shell) == "fish" ? "-l " + flag.substr(2) : flag)) << shell;
    }
    const std::string path = std::string("/usr/bin/") + shell;
    if (!fs::exists(path)) continue;
    const TempFile file(script.out);
    const Result parsed = run_program(path, {std::string(shell) == "fish" ? "--no-execute" : "-n", file.path});
    EXPECT_EQ(parsed.code, 0) << shell << ": " << parsed.err;
  }
  EXPECT_EQ(run_transom({"--print-completion", "tcsh"}).code, 2);
}

// What bash itself offers after the given words.
std::string bash_offers(const std::string& words) {
  const TempFile file(run_transom({"--print-completion", "bash"}).out);
  return run_program("/bin/bash", {"-c", "source " + file.path + "; COMP_WORDS=(" + words +
                                             "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _transom; echo \"${COMPREPLY[*]}\""})
      .out;
}

TEST(Completion, BashOffersCommandsFlagsAndWords) {
  EXPECT_EQ(bash_offers("transom doc"), "doctor\n");
  EXPECT_EQ(bash_offers("transom doctor --js"), "--json\n");
  EXPECT_EQ(bash_offers("transom doctor --dtype flo"), "float32 float16\n");
  EXPECT_EQ(bash_offers("transom doctor --device cu"), "cuda\n");
  EXPECT_EQ(bash_offers("transom generate ''"), "\n");  // left to file names
}

}  // namespace
}  // namespace transom

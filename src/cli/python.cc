// See python.h. Requests and answers go through unlinked temporary files, so that no amount of either can block.
#include "cli/python.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>

#include "transom/error.h"

namespace transom::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPackages[] = {"torch==2.9.1", "transformers==5.23.0", "gguf==0.19.0", "accelerate==1.15.0", "sentencepiece", "tiktoken"};
constexpr const char* kSize = "about 3 GB to download with pip's default build of torch, 7 GB on the disk";

struct Closer {
  void operator()(std::FILE* f) const { std::fclose(f); }
};
using File = std::unique_ptr<std::FILE, Closer>;

File scratch() {
  File f(std::tmpfile());
  if (!f) throw Error(Code::kIo, std::string("cannot make a temporary file: ") + std::strerror(errno), "verify");
  return f;
}

std::string contents(std::FILE* f) {
  std::string all;
  char block[65536];
  std::rewind(f);
  for (size_t n; (n = std::fread(block, 1, sizeof block, f)) > 0;) all.append(block, n);
  return all;
}

// Runs a program found on PATH; null streams are /dev/null. 127: it could not be started.
int run_process(const std::vector<std::string>& args, std::FILE* in, std::FILE* out, std::FILE* err) {
  std::vector<char*> argv;
  for (const std::string& a : args) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  if (child < 0) throw Error(Code::kResource, std::string("cannot start: ") + std::strerror(errno), args[0]);
  if (child == 0) {
    const int null = ::open("/dev/null", O_RDWR);
    ::dup2(in ? ::fileno(in) : null, 0);
    ::dup2(out ? ::fileno(out) : null, 1);
    ::dup2(err ? ::fileno(err) : null, 2);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

fs::path made_environment() {
  const char* xdg = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  return (xdg && *xdg ? fs::path(xdg) : fs::path(home ? home : "") / ".cache") / "transom" / "python";
}

// Beside the program: share/ of the build folder, or of the prefix that it is installed in.
std::string reference_script() {
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const fs::path& share : {folder / "share", folder.parent_path() / "share"})
    if (const fs::path script = share / "transom" / "verify_reference.py"; fs::is_regular_file(script, error)) return script.string();
  throw Error(Code::kNotFound, "expected share/transom/verify_reference.py beside the program or its folder, got none", folder.string());
}

bool has_packages(const std::string& python, bool gguf) {
  const std::string probe = "import importlib.util as u, sys; sys.exit(not all(u.find_spec(m) for m in ('torch', 'transformers'" +
                            std::string(gguf ? ", 'gguf', 'accelerate'" : "") + ")))";
  return run_process({python, "-c", probe}, nullptr, nullptr, nullptr) == 0;
}

}  // namespace

std::string find_python(const std::string& wanted, bool gguf) {
  const std::string made = (made_environment() / "bin" / "python").string();
  std::vector<std::string> candidates = {"python3", made};
  if (!wanted.empty()) candidates = {wanted};
  for (const std::string& c : candidates)
    if (has_packages(c, gguf)) return c;
  throw Error(Code::kNotFound,
              "expected a Python with torch, transformers" + std::string(gguf ? ", gguf and accelerate" : "") + ", got none in " +
                  (wanted.empty() ? "the active environment (python3) or " + made : wanted) +
                  "; install them there with pip (" + kSize + "), name another with --python, or let --make-env make one in " +
                  made_environment().string(),
              "verify");
}

std::string make_python() {
  const fs::path folder = made_environment();
  const std::string python = (folder / "bin" / "python").string();
  if (has_packages(python, true)) return python;
  std::fprintf(stderr, "Making a Python environment in %s: %s\n", folder.c_str(), kSize);
  fs::create_directories(folder.parent_path());
  if (run_process({"python3", "-m", "venv", folder.string()}, nullptr, stderr, stderr) != 0)
    throw Error(Code::kNotFound, "expected python3 with venv (Debian package python3-venv), got none that works", "verify --make-env");
  std::vector<std::string> pip = {python, "-m", "pip", "install", "--disable-pip-version-check"};
  pip.insert(pip.end(), std::begin(kPackages), std::end(kPackages));
  if (const int code = run_process(pip, nullptr, stderr, stderr); code != 0)
    throw Error(Code::kIo, "pip could not install the packages (exit " + std::to_string(code) + "); is this machine online?", "verify --make-env");
  return python;
}

Json ask_python(const std::string& python, const Json& request) {
  const std::string script = reference_script(), text = request.dump();
  const File in = scratch(), out = scratch(), err = scratch();
  if (std::fwrite(text.data(), 1, text.size(), in.get()) != text.size() || std::fflush(in.get()) != 0)
    throw Error(Code::kIo, "cannot write the request", "verify");
  std::rewind(in.get());
  const int code = run_process({python, script}, in.get(), out.get(), err.get());
  if (code == 128 + SIGINT) throw Error(Code::kCancelled, "interrupted", "verify");
  Json answer = Json::parse(contents(out.get()), nullptr, false);
  if (!answer.is_object()) {
    std::string said = contents(err.get());
    while (!said.empty() && said.back() == '\n') said.pop_back();
    throw Error(Code::kInternal, "expected an answer, got exit " + std::to_string(code) + ": " + said.substr(said.rfind('\n') + 1), python);
  }
  if (const auto it = answer.find("error"); it != answer.end())
    throw Error(Code::kUnsupported, it->value("kind", "") + ": " + it->value("message", ""), "transformers");
  return answer;
}

}  // namespace transom::cli

// Python as a separate process, for comparisons: finding one that has transformers, making one, and asking it one question.
#pragma once

#include <string>

#include "cli/command.h"

namespace transom::cli {

// A Python that has torch and transformers (and gguf, if asked): `wanted` if it is not empty, else the active environment's
// python3, else the one that make_python() made. Error{kNotFound} says what to install, its size, and the ways to do it.
std::string find_python(const std::string& wanted, bool gguf);

// Makes an environment with the packages in the user's cache and returns its Python; what is there already is used. pip's
// progress goes to stderr.
std::string make_python();

// Runs share/transom/verify_reference.py: one request, one answer (its docstring is the protocol). Throws what it reports.
Json ask_python(const std::string& python, const Json& request);

}  // namespace transom::cli

/// polygraft for C++17: the C interface of polygraft.h with owners, strings and exceptions.
///
/// It is header-only: it calls the C functions of the library and nothing else, so no type of the
/// C++ standard library crosses into the shared library, and any compiler and any standard library
/// can use it. `polygraft.h` is the reference for what each call does, and for its constants and
/// errors; the names here are the names there, without the prefix.
///
/// - **Handles** (`Engine`, `Store`, `Model`, `Update`, `Cancel`) can be moved and not copied, and
///   close themselves. Like every C++ object, a handle must not be destroyed while another thread
///   uses it; otherwise its `const` functions may be called by many threads at once.
/// - **Results** (`Prediction`, `Report`, `Vectors`) never change. Copies are cheap and share one
///   object; texts that they return are strings of the caller's own.
/// - **Texts** go in as anything that is a string: `const char *`, `std::string`,
///   `std::string_view`. Paths are bytes, as in C.
/// - **Errors** are exceptions of the class `Error`. With POLYGRAFT_NO_EXCEPTIONS defined before the
///   header, or where exceptions are switched off, every function that can fail returns a
///   `Result<T>` instead, which holds a value or an `Error`.
/// - **Callbacks** are any callable. An exception that one throws cancels the call, which rethrows
///   it.
///
/// examples/cpp has whole programs; docs/cpp.md explains more.

#ifndef POLYGRAFT_HPP
#define POLYGRAFT_HPP

#include "polygraft/callback.hpp"
#include "polygraft/checks.hpp"
#include "polygraft/engine.hpp"
#include "polygraft/error.hpp"
#include "polygraft/examples.hpp"
#include "polygraft/exchange.hpp"
#include "polygraft/input.hpp"
#include "polygraft/inspect.hpp"
#include "polygraft/model.hpp"
#include "polygraft/options.hpp"
#include "polygraft/prediction.hpp"
#include "polygraft/report.hpp"
#include "polygraft/round.hpp"
#include "polygraft/store.hpp"
#include "polygraft/text.hpp"
#include "polygraft/update.hpp"
#include "polygraft/version.hpp"
#include "polygraft/wipe.hpp"

#endif  // POLYGRAFT_HPP

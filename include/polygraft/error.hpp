/// What goes wrong, and how it reaches the caller: as an exception, or as a Result.

#ifndef POLYGRAFT_ERROR_HPP
#define POLYGRAFT_ERROR_HPP

#include "../polygraft.h"

#if defined(_MSVC_LANG) ? _MSVC_LANG < 201703L : __cplusplus < 201703L
#error "polygraft.hpp needs C++17: compile with -std=c++17 or newer"
#endif

#if !defined(POLYGRAFT_NO_EXCEPTIONS) && !defined(__cpp_exceptions)
#define POLYGRAFT_NO_EXCEPTIONS
#endif

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

// The two kinds of functions have names of their own for the linker, so that a program may be put
// together from files with exceptions and files without.
#ifdef POLYGRAFT_NO_EXCEPTIONS
#define POLYGRAFT_BEGIN namespace polygraft { inline namespace returning {
#else
#define POLYGRAFT_BEGIN namespace polygraft { inline namespace throwing {
#endif
#define POLYGRAFT_END } }

POLYGRAFT_BEGIN

namespace detail {

inline std::string own(polygraft_string_view view) { return std::string(view.ptr, view.len); }

}  // namespace detail

/// A failure: a status for programs, a stable name for logs, a message and its causes for people.
class Error : public std::exception {
 public:
  Error(polygraft_status status, std::string message)
      : Error(Contents{status, detail::own(polygraft_status_name(status)), message, {message}, {}}) {}

  /// Takes over an error of the C interface, and frees it.
  static Error take(polygraft_status status, polygraft_error *error) {
    if (error == nullptr) {
      return Error(status, "no further message");
    }
    // Freed also where there is no memory for the copies.
    struct Free {
      void operator()(polygraft_error *raw) const { polygraft_error_free(&raw); }
    };
    const std::unique_ptr<polygraft_error, Free> owner(error);
    Contents contents{status, detail::own(polygraft_error_name(error)),
                      detail::own(polygraft_error_message(error)), {}, {}};
    for (std::size_t index = 0; index < polygraft_error_causes_count(error); index++) {
      contents.causes.push_back(detail::own(polygraft_error_cause(error, index)));
    }
    return Error(std::move(contents));
  }

  /// One of POLYGRAFT_ERROR_*.
  polygraft_status status() const noexcept { return contents_->status; }

  /// The stable name, for example `store.no_version`.
  const std::string &name() const noexcept { return contents_->name; }

  /// What failed, where, what was expected and what was found.
  const std::string &message() const noexcept { return contents_->message; }

  /// The parts of the message: the outermost, which says what was being done, first.
  const std::vector<std::string> &causes() const noexcept { return contents_->causes; }

  /// The name and the message.
  const char *what() const noexcept override { return contents_->what.c_str(); }

 private:
  struct Contents {
    polygraft_status status;
    std::string name;
    std::string message;
    std::vector<std::string> causes;
    std::string what;
  };

  explicit Error(Contents contents) {
    contents.what = contents.name + ": " + contents.message;
    contents_ = std::make_shared<const Contents>(std::move(contents));
  }

  // Shared, because copying an exception must not fail.
  std::shared_ptr<const Contents> contents_;
};

#ifdef POLYGRAFT_NO_EXCEPTIONS

/// A value, or the error because of which there is none. Taking the value where there is none ends
/// the program with the error's message.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : contents_(std::move(value)) {}
  Result(Error error) : contents_(std::move(error)) {}

  bool has_value() const noexcept { return contents_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  T &value() & { return *checked(); }
  const T &value() const & { return *const_cast<Result *>(this)->checked(); }
  T &&value() && { return std::move(*checked()); }
  T &operator*() & { return *checked(); }
  const T &operator*() const & { return value(); }
  T &&operator*() && { return std::move(*checked()); }
  T *operator->() { return checked(); }
  const T *operator->() const { return &value(); }

  /// The error, only where there is no value.
  const Error &error() const { return *std::get_if<Error>(&contents_); }

 private:
  T *checked() {
    if (!has_value()) {
      std::fprintf(stderr, "polygraft: a failed result was used: %s\n", error().what());
      std::abort();
    }
    return std::get_if<T>(&contents_);
  }

  std::variant<T, Error> contents_;
};

/// Success, or an error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool has_value() const noexcept { return !error_.has_value(); }
  explicit operator bool() const noexcept { return has_value(); }

  /// The error, only where the call failed.
  const Error &error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

#else

/// With exceptions, what a function returns is the value itself.
template <class T>
using Result = T;

#endif

POLYGRAFT_END

#endif  // POLYGRAFT_ERROR_HPP

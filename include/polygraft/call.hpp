/// How the classes call the C interface: what a call writes becomes a value, its failure an Error.
/// Nothing here is for programs.

#ifndef POLYGRAFT_CALL_HPP
#define POLYGRAFT_CALL_HPP

#include "text.hpp"

POLYGRAFT_BEGIN

namespace detail {

/// Throws the error, or returns it.
template <class T>
Result<T> failed(Error error) {
#ifdef POLYGRAFT_NO_EXCEPTIONS
  return Result<T>(std::move(error));
#else
  throw error;
#endif
}

/// The first text that C could not read.
template <class... Arguments>
std::optional<Error> problem(const Arguments &...arguments) {
  std::optional<Error> found;
  static_cast<void>((... || (found = arguments.problem()).has_value()));
  return found;
}

/// Calls `call(&value, &error)` and returns the value. `texts` are checked first.
template <class T, class Call, class... Arguments>
Result<T> read(Call call, const Arguments &...texts) {
  if (std::optional<Error> found = problem(texts...)) {
    return failed<T>(std::move(*found));
  }
  T value{};
  polygraft_error *error = nullptr;
  const polygraft_status status = call(&value, &error);
  if (status != POLYGRAFT_OK) {
    return failed<T>(Error::take(status, error));
  }
  return value;
}

/// Calls `call(&raw, &error)` and returns the object or handle as a T, which owns it.
template <class T, class Call, class... Arguments>
Result<T> make(Call call, const Arguments &...texts) {
  if (std::optional<Error> found = problem(texts...)) {
    return failed<T>(std::move(*found));
  }
  typename T::raw_type *raw = nullptr;
  polygraft_error *error = nullptr;
  const polygraft_status status = call(&raw, &error);
  if (status != POLYGRAFT_OK) {
    return failed<T>(Error::take(status, error));
  }
  return T(raw);
}

/// Calls `call(&error)`.
template <class Call, class... Arguments>
Result<void> check(Call call, const Arguments &...texts) {
  if (std::optional<Error> found = problem(texts...)) {
    return failed<void>(std::move(*found));
  }
  polygraft_error *error = nullptr;
  const polygraft_status status = call(&error);
  if (status != POLYGRAFT_OK) {
    return failed<void>(Error::take(status, error));
  }
  return Result<void>();
}

/// A list of `count` entries: `get(index, &raw, &error)` fills a struct of the C interface, and
/// `own(raw)` makes it the caller's.
template <class Raw, class Get, class Own>
auto list(std::size_t count, Get get, Own own) -> Result<std::vector<decltype(own(Raw{}))>> {
  std::vector<decltype(own(Raw{}))> entries;
  entries.reserve(count);
  for (std::size_t index = 0; index < count; index++) {
    Raw raw{};
    raw.struct_size = sizeof raw;
    polygraft_error *error = nullptr;
    const polygraft_status status = get(index, &raw, &error);
    if (status != POLYGRAFT_OK) {
      return failed<std::vector<decltype(own(Raw{}))>>(Error::take(status, error));
    }
    entries.push_back(own(raw));
  }
  return entries;
}

/// One entry: `get(&raw, &error)` fills the struct.
template <class Raw, class Get, class Own>
auto entry(Get get, Own own) -> Result<decltype(own(Raw{}))> {
  Raw raw{};
  raw.struct_size = sizeof raw;
  polygraft_error *error = nullptr;
  const polygraft_status status = get(&raw, &error);
  if (status != POLYGRAFT_OK) {
    return failed<decltype(own(Raw{}))>(Error::take(status, error));
  }
  return own(raw);
}

/// Closes or frees what a pointer of the C interface refers to.
template <class Raw, void (*end)(Raw **)>
struct End {
  void operator()(Raw *raw) const noexcept { end(&raw); }
};

/// The owner of a handle. It closes the handle when it goes out of scope.
template <class Raw, void (*close_raw)(Raw **)>
class Handle {
 public:
  using raw_type = Raw;

  /// Takes over a handle of the C interface.
  explicit Handle(Raw *raw) noexcept : raw_(raw) {}

  /// The handle, for functions of the C interface. It stays this object's.
  Raw *get() const noexcept { return raw_.get(); }

  /// The handle, which now is the caller's to close.
  Raw *release() noexcept { return raw_.release(); }

  /// Closes the handle now. It waits for calls that use it on other threads.
  void close() noexcept { raw_.reset(); }

 private:
  std::unique_ptr<Raw, End<Raw, close_raw>> raw_;
};

/// An object that never changes. Copies share it, and the last one frees it.
template <class Raw, void (*free_raw)(Raw **)>
class Object {
 public:
  using raw_type = Raw;

  /// Takes over an object of the C interface.
  explicit Object(Raw *raw) : raw_(raw, End<Raw, free_raw>()) {}

  /// An object that belongs to another one, which the pointer keeps.
  explicit Object(std::shared_ptr<const Raw> raw) noexcept : raw_(std::move(raw)) {}

  /// The object, for functions of the C interface.
  const Raw *get() const noexcept { return raw_.get(); }

 protected:
  const std::shared_ptr<const Raw> &shared() const noexcept { return raw_; }

 private:
  std::shared_ptr<const Raw> raw_;
};

}  // namespace detail

POLYGRAFT_END

#endif  // POLYGRAFT_CALL_HPP

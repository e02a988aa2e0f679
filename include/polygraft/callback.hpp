/// Callables as callbacks of the C interface, and what they may return.

#ifndef POLYGRAFT_CALLBACK_HPP
#define POLYGRAFT_CALLBACK_HPP

#include "call.hpp"

#include <algorithm>
#include <cstring>
#include <functional>

POLYGRAFT_BEGIN

/// What a callback returns: whether the call continues. It does if the callback returns nothing.
enum class Flow {
  go_on,
  /// Cancels an update, and ends a generated text where it is.
  stop,
};

/// How far an update is. All fields are numbers; polygraft.h explains them.
using Progress = polygraft_progress;

namespace detail {

/// A callable on its way through the C interface. No exception may cross it; one that the callable
/// throws is kept, and rethrown when the C function has returned.
template <class Function>
class Callback {
 public:
  explicit Callback(Function &function) : function_(function) {}

  /// What the C interface calls with the pointer to this object.
  static int on_progress(const polygraft_progress *progress, void *user) noexcept {
    // A library of another version may have a shorter struct.
    Progress copy{};
    std::memcpy(&copy, progress, std::min<std::size_t>(progress->struct_size, sizeof copy));
    return static_cast<Callback *>(user)->call(static_cast<const Progress &>(copy));
  }

  static int on_chunk(polygraft_string_view chunk, void *user) noexcept {
    return static_cast<Callback *>(user)->call(std::string_view(chunk.ptr, chunk.len));
  }

  bool has_thrown() const noexcept { return thrown_ != nullptr; }

  static int on_step(std::size_t step, std::size_t steps_count, void *user) noexcept {
    return static_cast<Callback *>(user)->call(step, steps_count);
  }

  /// Throws what the callable threw.
  void throw_again() const {
#ifndef POLYGRAFT_NO_EXCEPTIONS
    std::rethrow_exception(thrown_);
#endif
  }

 private:
  template <class... Arguments>
  int call(Arguments &&...arguments) noexcept {
#ifdef POLYGRAFT_NO_EXCEPTIONS
    return invoke(std::forward<Arguments>(arguments)...);
#else
    try {
      return invoke(std::forward<Arguments>(arguments)...);
    } catch (...) {
      thrown_ = std::current_exception();
      return 1;
    }
#endif
  }

  template <class... Arguments>
  int invoke(Arguments &&...arguments) {
    using Returned = std::invoke_result_t<Function &, Arguments...>;
    if constexpr (std::is_void_v<Returned>) {
      std::invoke(function_, std::forward<Arguments>(arguments)...);
      return 0;
    } else {
      static_assert(std::is_same_v<Returned, Flow>,
                    "a callback returns nothing, or a polygraft::Flow");
      return std::invoke(function_, std::forward<Arguments>(arguments)...) == Flow::stop ? 1 : 0;
    }
  }

  Function &function_;
  std::exception_ptr thrown_;
};

}  // namespace detail

POLYGRAFT_END

#endif  // POLYGRAFT_CALLBACK_HPP

/// Inputs that are more than one text: pairs and words.

#ifndef POLYGRAFT_INPUT_HPP
#define POLYGRAFT_INPUT_HPP

#include "call.hpp"

POLYGRAFT_BEGIN

/// A text, a pair of texts, or words. It can be used again, also by several threads.
class Input {
 public:
  using raw_type = polygraft_input;

  /// Takes over an input of the C interface.
  explicit Input(polygraft_input *raw) noexcept : raw_(raw) {}

  /// The input, for functions of the C interface.
  const polygraft_input *get() const noexcept { return raw_.get(); }

  static Result<Input> text(Text text) {
    return detail::make<Input>(
        [&](polygraft_input **input, polygraft_error **error) {
          return polygraft_input_text(text.c_str(), input, error);
        },
        text);
  }

  /// Two texts that the model reads together, in this order.
  static Result<Input> pair(Text first, Text second) {
    return detail::make<Input>(
        [&](polygraft_input **input, polygraft_error **error) {
          return polygraft_input_pair(first.c_str(), second.c_str(), input, error);
        },
        first, second);
  }

  /// A text that is split into words already.
  static Result<Input> words(const Texts &words) {
    return detail::make<Input>(
        [&](polygraft_input **input, polygraft_error **error) {
          return polygraft_input_words(words.data(), words.size(), input, error);
        },
        words);
  }

 private:
  std::unique_ptr<polygraft_input, detail::End<polygraft_input, polygraft_input_free>> raw_;
};

POLYGRAFT_END

#endif  // POLYGRAFT_INPUT_HPP

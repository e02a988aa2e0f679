/// Texts on their way in: whatever is a string becomes one that ends with a 0 byte, as C reads it.

#ifndef POLYGRAFT_TEXT_HPP
#define POLYGRAFT_TEXT_HPP

#include "error.hpp"

#include <initializer_list>
#include <iterator>
#include <string_view>
#include <type_traits>

POLYGRAFT_BEGIN

/// A text that is passed to a call. It refers to the caller's string where that ends with a 0 byte,
/// and copies it where it may not. It is meant as an argument only: do not keep it.
class Text {
 public:
  Text(const char *text) : borrowed_(text) {}
  Text(const std::string &text) : borrowed_(text.c_str()), zero_(text.find('\0')) {}
  Text(std::string_view text) : owned_(std::string(text)), zero_(text.find('\0')) {}

  const char *c_str() const noexcept { return owned_ ? owned_->c_str() : borrowed_; }

  /// Why C could not read the text, if it could not: a 0 byte would end it too early.
  std::optional<Error> problem() const {
    if (zero_ == std::string::npos) {
      return std::nullopt;
    }
    return Error(POLYGRAFT_ERROR_ARGUMENT_INVALID,
                 "expected a text without 0 bytes, found one at byte " + std::to_string(zero_));
  }

 private:
  const char *borrowed_ = nullptr;
  std::optional<std::string> owned_;
  std::size_t zero_ = std::string::npos;
};

/// Several texts that are passed to a call: a list in braces, or any container of strings.
class Texts {
 public:
  Texts(std::initializer_list<Text> texts) : texts_(texts) { point(); }

  template <class Container, class = std::enable_if_t<std::is_convertible_v<
                                 decltype(*std::begin(std::declval<const Container &>())), Text>>>
  Texts(const Container &texts) : texts_(std::begin(texts), std::end(texts)) {
    point();
  }

  // The pointers lead into the texts.
  Texts(const Texts &) = delete;
  Texts &operator=(const Texts &) = delete;

  const char *const *data() const noexcept { return pointers_.data(); }
  std::size_t size() const noexcept { return pointers_.size(); }

  std::optional<Error> problem() const {
    for (const Text &text : texts_) {
      if (std::optional<Error> problem = text.problem()) {
        return problem;
      }
    }
    return std::nullopt;
  }

 private:
  void point() {
    for (const Text &text : texts_) {
      pointers_.push_back(text.c_str());
    }
  }

  std::vector<Text> texts_;
  std::vector<const char *> pointers_;
};

POLYGRAFT_END

#endif  // POLYGRAFT_TEXT_HPP

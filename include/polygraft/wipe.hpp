/// Erasing remembered examples, and what was learnt from them.

#ifndef POLYGRAFT_WIPE_HPP
#define POLYGRAFT_WIPE_HPP

#include "options.hpp"
#include "version.hpp"

POLYGRAFT_BEGIN

/// Which remembered examples to wipe: those that meet all stated conditions; without one, all of the
/// task.
struct WipeOptions : polygraft_wipe_options {
  WipeOptions() : polygraft_wipe_options{} {
    detail::set_defaults<polygraft_wipe_options>(*this, polygraft_wipe_options_init);
  }

  /// Only examples in this language.
  std::optional<std::string> language;
  /// Only examples with this label, or with this tag or kind of span.
  std::optional<std::string> label;
};

namespace detail {

class RawWipeOptions {
 public:
  explicit RawWipeOptions(const WipeOptions &options)
      : language_(options.language), label_(options.label), raw_(options) {
    raw_.language = language_.c_str();
    raw_.label = label_.c_str();
  }

  const polygraft_wipe_options *get() const noexcept { return &raw_; }
  std::optional<Error> problem() const { return detail::problem(language_, label_); }

 private:
  OptionalText language_;
  OptionalText label_;
  polygraft_wipe_options raw_;
};

}  // namespace detail

/// The wiped examples of one language.
struct WipedLanguage {
  std::string language;
  std::uint64_t examples_count;
};

/// What a wipe did.
class Wiped : public detail::Object<polygraft_wiped, polygraft_wiped_free> {
 public:
  using Object::Object;

  /// The languages of which examples were wiped.
  Result<std::vector<WipedLanguage>> languages() const {
    return detail::list<polygraft_wiped_language>(
        polygraft_wiped_languages_count(get()),
        [&](std::size_t index, polygraft_wiped_language *entry, polygraft_error **error) {
          return polygraft_wiped_get(get(), index, entry, error);
        },
        [](const polygraft_wiped_language &entry) {
          return WipedLanguage{detail::own(entry.language), entry.examples_count};
        });
  }

  /// The versions that may have learnt from them, as they were before.
  Result<std::vector<Version>> versions() const {
    return detail::versions(polygraft_wiped_versions(get()));
  }

  /// Whether these versions were removed.
  bool retired() const noexcept { return polygraft_wiped_retired(get()) != 0; }
};

POLYGRAFT_END

#endif  // POLYGRAFT_WIPE_HPP

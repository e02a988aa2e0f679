/// Adapters of other libraries and of other stores: import, export, combine, stack.

#ifndef POLYGRAFT_EXCHANGE_HPP
#define POLYGRAFT_EXCHANGE_HPP

#include "options.hpp"
#include "report.hpp"

POLYGRAFT_BEGIN

/// How to import.
struct ImportOptions : polygraft_import_options {
  ImportOptions() : polygraft_import_options{} {
    detail::set_defaults<polygraft_import_options>(*this, polygraft_import_options_init);
  }

  /// The labels of the head in the order of its outputs. Empty: those that the file states.
  std::vector<std::string> labels;
  /// The prefix of the layers in the other library's model; without one it is found.
  std::optional<std::string> encoder;
  /// The prefix of the same layers in the bundle; without one it is found.
  std::optional<std::string> within;
};

/// How to export. Texts that are absent have their defaults.
struct ExportOptions : polygraft_export_options {
  ExportOptions() : polygraft_export_options{} {
    detail::set_defaults<polygraft_export_options>(*this, polygraft_export_options_init);
  }

  std::optional<std::string> encoder;
  std::optional<std::string> within;
  std::optional<std::string> head_module;
  std::optional<std::string> name;
  std::optional<std::string> model_type;
};

namespace detail {

class RawImportOptions {
 public:
  explicit RawImportOptions(const ImportOptions &options)
      : labels_(options.labels), encoder_(options.encoder), within_(options.within), raw_(options) {
    if (!options.labels.empty()) {
      raw_.labels = labels_.data();
      raw_.labels_count = static_cast<std::uint32_t>(labels_.size());
    }
    raw_.encoder = encoder_.c_str();
    raw_.within = within_.c_str();
  }

  const polygraft_import_options *get() const noexcept { return &raw_; }
  std::optional<Error> problem() const { return detail::problem(labels_, encoder_, within_); }

 private:
  Texts labels_;
  OptionalText encoder_;
  OptionalText within_;
  polygraft_import_options raw_;
};

class RawExportOptions {
 public:
  explicit RawExportOptions(const ExportOptions &options)
      : encoder_(options.encoder),
        within_(options.within),
        head_module_(options.head_module),
        name_(options.name),
        model_type_(options.model_type),
        raw_(options) {
    raw_.encoder = encoder_.c_str();
    raw_.within = within_.c_str();
    raw_.head_module = head_module_.c_str();
    raw_.name = name_.c_str();
    raw_.model_type = model_type_.c_str();
  }

  const polygraft_export_options *get() const noexcept { return &raw_; }
  std::optional<Error> problem() const {
    return detail::problem(encoder_, within_, head_module_, name_, model_type_);
  }

 private:
  OptionalText encoder_;
  OptionalText within_;
  OptionalText head_module_;
  OptionalText name_;
  OptionalText model_type_;
  polygraft_export_options raw_;
};

}  // namespace detail

/// A version that was imported.
class Imported : public detail::Object<polygraft_imported, polygraft_imported_free> {
 public:
  using Object::Object;

  /// The number of the version.
  std::uint32_t version() const noexcept { return polygraft_imported_version(get()); }
  /// Whether it became active.
  bool activated() const noexcept { return polygraft_imported_activated(get()) != 0; }
  /// The format that was found, one of POLYGRAFT_FORMAT_*.
  std::uint32_t format() const noexcept { return polygraft_imported_format(get()); }

  /// What the gate decided; it fails with argument.invalid if the gate was not asked.
  Result<LanguageReport> decision() const {
    return detail::entry<polygraft_language_report>(
        [&](polygraft_language_report *entry, polygraft_error **error) {
          return polygraft_imported_decision(get(), entry, error);
        },
        [](const polygraft_language_report &entry) { return detail::own(entry); });
  }

  /// Modules that were left out, and names that were matched.
  std::vector<std::string> notes() const {
    std::vector<std::string> notes;
    for (std::size_t index = 0; index < polygraft_imported_notes_count(get()); index++) {
      notes.push_back(detail::own(polygraft_imported_note(get(), index)));
    }
    return notes;
  }
};

/// Combines adapters side by side, each with a weight, into a new file. Without weights each has 1.
inline Result<void> combine_adapters(const Texts &from_paths, const std::vector<double> &weights,
                                     Text to_path) {
  if (!weights.empty() && weights.size() != from_paths.size()) {
    return detail::failed<void>(
        Error(POLYGRAFT_ERROR_ARGUMENT_INVALID,
              "expected a weight for each adapter, found " + std::to_string(weights.size()) +
                  " weights for " + std::to_string(from_paths.size()) + " adapters"));
  }
  return detail::check(
      [&](polygraft_error **error) {
        return polygraft_adapters_combine(from_paths.data(),
                                          weights.empty() ? nullptr : weights.data(),
                                          from_paths.size(), to_path.c_str(), error);
      },
      from_paths, to_path);
}

/// Stacks an adapter on another one, into a new file.
inline Result<void> stack_adapters(Text lower_path, Text upper_path, Text to_path) {
  return detail::check(
      [&](polygraft_error **error) {
        return polygraft_adapters_stack(lower_path.c_str(), upper_path.c_str(), to_path.c_str(),
                                        error);
      },
      lower_path, upper_path, to_path);
}

POLYGRAFT_END

#endif  // POLYGRAFT_EXCHANGE_HPP

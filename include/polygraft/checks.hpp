/// Checks of a machine, a bundle and a store, as data.

#ifndef POLYGRAFT_CHECKS_HPP
#define POLYGRAFT_CHECKS_HPP

#include "options.hpp"

POLYGRAFT_BEGIN

/// What to check.
struct DiagnoseOptions : polygraft_diagnose_options {
  DiagnoseOptions() : polygraft_diagnose_options{} {
    detail::set_defaults<polygraft_diagnose_options>(*this, polygraft_diagnose_options_init);
  }

  /// The ONNX Runtime library; without one it is searched as an engine does.
  std::optional<std::string> onnxruntime_path;
  /// The folder of a bundle.
  std::optional<std::string> bundle_path;
  /// The folder of a store, which is not created.
  std::optional<std::string> store_path;
};

namespace detail {

class RawDiagnoseOptions {
 public:
  explicit RawDiagnoseOptions(const DiagnoseOptions &options)
      : runtime_(options.onnxruntime_path),
        bundle_(options.bundle_path),
        store_(options.store_path),
        raw_(options) {
    raw_.onnxruntime_path = runtime_.c_str();
    raw_.bundle_path = bundle_.c_str();
    raw_.store_path = store_.c_str();
  }

  const polygraft_diagnose_options *get() const noexcept { return &raw_; }
  std::optional<Error> problem() const { return detail::problem(runtime_, bundle_, store_); }

 private:
  OptionalText runtime_;
  OptionalText bundle_;
  OptionalText store_;
  polygraft_diagnose_options raw_;
};

}  // namespace detail

/// The result of one check.
struct Check {
  /// One of POLYGRAFT_CHECK_*.
  std::uint32_t state;
  /// What was checked, for example `bundle`.
  std::string subject;
  /// What was found, in lines.
  std::string details;
  /// What is wrong, one of POLYGRAFT_ERROR_*; POLYGRAFT_OK if nothing is, or several things are.
  polygraft_status status;
};

/// The results of checks.
class Checks : public detail::Object<polygraft_checks, polygraft_checks_free> {
 public:
  using Object::Object;

  bool all_right() const noexcept { return polygraft_checks_all_right(get()) != 0; }

  /// All of them, in the order in which they were made.
  Result<std::vector<Check>> list() const {
    return detail::list<polygraft_check>(
        polygraft_checks_count(get()),
        [&](std::size_t index, polygraft_check *check, polygraft_error **error) {
          return polygraft_checks_get(get(), index, check, error);
        },
        [](const polygraft_check &check) {
          return Check{check.state, detail::own(check.subject), detail::own(check.details),
                       check.status};
        });
  }
};

/// Checks this machine and, if they are named, a bundle and a store. It changes nothing.
inline Result<Checks> diagnose(const DiagnoseOptions &options = DiagnoseOptions()) {
  const detail::RawDiagnoseOptions raw_options(options);
  return detail::make<Checks>(
      [&](polygraft_checks **checks, polygraft_error **error) {
        return polygraft_diagnose(raw_options.get(), checks, error);
      },
      raw_options);
}

/// Compares the hash of every file of a bundle with its manifest.
inline Result<void> verify_bundle(Text path) {
  return detail::check(
      [&](polygraft_error **error) { return polygraft_bundle_verify(path.c_str(), error); }, path);
}

POLYGRAFT_END

#endif  // POLYGRAFT_CHECKS_HPP

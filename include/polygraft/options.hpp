/// Options of calls. Each is the struct of the C interface, filled with the defaults when it is made,
/// and polygraft.h explains its fields. Where the C struct has a pointer to texts, a container of
/// strings with the same name stands in its place.
///
///     polygraft::UpdateOptions options;
///     options.seed = 42;
///     options.lora_targets = {"query", "value"};

#ifndef POLYGRAFT_OPTIONS_HPP
#define POLYGRAFT_OPTIONS_HPP

#include "call.hpp"

#include <functional>

POLYGRAFT_BEGIN

namespace detail {

/// Fills a struct with the defaults. It fails only with a library that is older than the header.
/// Without exceptions the struct then stays empty, and the call that takes it is refused.
template <class Struct>
void set_defaults(Struct &options,
                  polygraft_status (*init)(Struct *, std::size_t, polygraft_error **)) {
  polygraft_error *error = nullptr;
  const polygraft_status status = init(&options, sizeof(Struct), &error);
  if (status != POLYGRAFT_OK) {
#ifdef POLYGRAFT_NO_EXCEPTIONS
    polygraft_error_free(&error);
#else
    throw Error::take(status, error);
#endif
  }
}

/// A text that may be absent, which C writes as NULL.
class OptionalText {
 public:
  explicit OptionalText(const std::optional<std::string> &text) {
    if (text) {
      text_.emplace(*text);
    }
  }

  const char *c_str() const noexcept { return text_ ? text_->c_str() : nullptr; }
  std::optional<Error> problem() const { return text_ ? text_->problem() : std::nullopt; }

 private:
  std::optional<Text> text_;
};

}  // namespace detail

/// Receives a log message: the severity, one of POLYGRAFT_LOG_*, the source and the message, which
/// are valid during the call. It may be called on any thread, also on several at once. What it
/// throws is dropped.
using LogFunction =
    std::function<void(std::uint32_t severity, std::string_view source, std::string_view message)>;

/// How to open an engine.
struct EngineOptions : polygraft_engine_options {
  EngineOptions() : polygraft_engine_options{} {
    detail::set_defaults<polygraft_engine_options>(*this, polygraft_engine_options_init);
  }

  /// The ONNX Runtime library to open, and no other. Empty: it is searched.
  std::string onnxruntime_path;

  /// Receives what is logged until the engine is closed; empty for none. `log_severity` is the
  /// least severity that it receives.
  LogFunction log;
};

/// How to open a model.
struct ModelOptions : polygraft_model_options {
  ModelOptions() : polygraft_model_options{} {
    detail::set_defaults<polygraft_model_options>(*this, polygraft_model_options_init);
  }

  /// Patterns of the module names where adapters may attach. Empty: the default targets.
  std::vector<std::string> targets;
};

/// How to predict and to generate.
struct PredictOptions : polygraft_predict_options {
  PredictOptions() : polygraft_predict_options{} {
    detail::set_defaults<polygraft_predict_options>(*this, polygraft_predict_options_init);
  }

  /// Generation: strings that end a text. The text is cut before the first of them.
  std::vector<std::string> stop_strings;
};

/// How to update.
struct UpdateOptions : polygraft_update_options {
  UpdateOptions() : polygraft_update_options{} {
    detail::set_defaults<polygraft_update_options>(*this, polygraft_update_options_init);
  }

  /// Patterns of the module names where adapters attach. Empty: the default targets.
  std::vector<std::string> lora_targets;
};

namespace detail {

/// Options as the C interface takes them: the struct, and the texts that it points to. They are
/// built for one call.
class RawEngineOptions {
 public:
  /// `log` is called by the engine, so it must live as long as that.
  RawEngineOptions(const EngineOptions &options, LogFunction *log)
      : path_(options.onnxruntime_path), raw_(options) {
    if (!options.onnxruntime_path.empty()) {
      raw_.onnxruntime_path = path_.c_str();
    }
    if (log != nullptr) {
      raw_.log = on_log;
      raw_.log_user = log;
    }
  }

  const polygraft_engine_options *get() const noexcept { return &raw_; }
  std::optional<Error> problem() const { return path_.problem(); }

 private:
  static void on_log(std::uint32_t severity, polygraft_string_view source,
                     polygraft_string_view message, void *user) noexcept {
    const auto &log = *static_cast<LogFunction *>(user);
    const std::string_view from(source.ptr, source.len);
    const std::string_view what(message.ptr, message.len);
#ifdef POLYGRAFT_NO_EXCEPTIONS
    log(severity, from, what);
#else
    try {
      log(severity, from, what);
    } catch (...) {
      // There is no caller to throw to.
    }
#endif
  }

  Text path_;
  polygraft_engine_options raw_;
};

/// The same for options with a list of texts, whose pointer and number are the fields given.
template <class Struct, const char *const *Struct::*list, std::uint32_t Struct::*count>
class RawOptions {
 public:
  RawOptions(const Struct &options, const std::vector<std::string> &texts)
      : texts_(texts), raw_(options) {
    if (!texts.empty()) {
      raw_.*list = texts_.data();
      raw_.*count = static_cast<std::uint32_t>(texts_.size());
    }
  }

  const Struct *get() const noexcept { return &raw_; }
  std::optional<Error> problem() const { return texts_.problem(); }

 private:
  Texts texts_;
  Struct raw_;
};

struct RawModelOptions
    : RawOptions<polygraft_model_options, &polygraft_model_options::targets,
                 &polygraft_model_options::targets_count> {
  explicit RawModelOptions(const ModelOptions &options) : RawOptions(options, options.targets) {}
};

struct RawPredictOptions
    : RawOptions<polygraft_predict_options, &polygraft_predict_options::stop_strings,
                 &polygraft_predict_options::stop_strings_count> {
  explicit RawPredictOptions(const PredictOptions &options)
      : RawOptions(options, options.stop_strings) {}
};

struct RawUpdateOptions
    : RawOptions<polygraft_update_options, &polygraft_update_options::lora_targets,
                 &polygraft_update_options::lora_targets_count> {
  explicit RawUpdateOptions(const UpdateOptions &options)
      : RawOptions(options, options.lora_targets) {}
};

}  // namespace detail

POLYGRAFT_END

#endif  // POLYGRAFT_OPTIONS_HPP

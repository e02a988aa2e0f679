/// The library itself, ONNX Runtime, and tokens that cancel calls.

#ifndef POLYGRAFT_ENGINE_HPP
#define POLYGRAFT_ENGINE_HPP

#include "options.hpp"

POLYGRAFT_BEGIN

/// The version of the binary interface of the loaded library; POLYGRAFT_ABI_VERSION is the header's.
inline std::uint32_t abi_version() { return polygraft_abi_version(); }

/// The version of the loaded library, for example `0.1.0`.
inline std::string version_string() { return detail::own(polygraft_version_string()); }

/// The version, build kind and platform of the loaded library in one line, for logs.
inline std::string build_info() { return detail::own(polygraft_build_info()); }

/// The stable name of a status, for example `io.not_found`.
inline std::string status_name(polygraft_status status) {
  return detail::own(polygraft_status_name(status));
}

/// The opened ONNX Runtime library. One engine per process is enough.
class Engine : public detail::Handle<polygraft_engine, polygraft_engine_close> {
 public:
  using Handle::Handle;

  /// Opens ONNX Runtime, with its telemetry off. See polygraft_engine_open about the environment.
  static Result<Engine> open(const EngineOptions &options = EngineOptions()) {
    std::unique_ptr<LogFunction> log;
    if (options.log) {
      log = std::make_unique<LogFunction>(options.log);
    }
    const detail::RawEngineOptions raw_options(options, log.get());
    auto engine = detail::make<Engine>(
        [&](polygraft_engine **raw, polygraft_error **error) {
          return polygraft_engine_open(raw_options.get(), raw, error);
        },
        raw_options);
    keep(engine, std::move(log));
    return engine;
  }

  Engine(Engine &&) noexcept = default;
  Engine &operator=(Engine &&other) noexcept {
    // The old engine is closed before the callable that receives its log is destroyed.
    Handle::operator=(std::move(other));
    log_ = std::move(other.log_);
    return *this;
  }
  ~Engine() { close(); }

  /// The handle, which now is the caller's to close. The callable of its log is never destroyed.
  polygraft_engine *release() noexcept {
    static_cast<void>(log_.release());
    return Handle::release();
  }

  /// The version of ONNX Runtime, for example `1.28.0`.
  Result<std::string> onnxruntime_version() const {
    polygraft_string_view version{};
    polygraft_error *error = nullptr;
    const polygraft_status status = polygraft_engine_onnxruntime_version(get(), &version, &error);
    if (status != POLYGRAFT_OK) {
      return detail::failed<std::string>(Error::take(status, error));
    }
    return detail::own(version);
  }

 private:
  static void keep(Engine &engine, std::unique_ptr<LogFunction> log) {
    engine.log_ = std::move(log);
  }

#ifdef POLYGRAFT_NO_EXCEPTIONS
  static void keep(Result<Engine> &engine, std::unique_ptr<LogFunction> log) {
    if (engine) {
      engine->log_ = std::move(log);
    }
  }
#endif

  std::unique_ptr<LogFunction> log_;
};

/// A token that cancels the predictions and updates that it is given to, from any thread. It must
/// outlive the calls that use it.
class Cancel : public detail::Handle<polygraft_cancel, polygraft_cancel_close> {
 public:
  using Handle::Handle;

  /// Makes a token that is not cancelled.
  static Result<Cancel> open() {
    return detail::make<Cancel>([](polygraft_cancel **cancel, polygraft_error **error) {
      return polygraft_cancel_open(cancel, error);
    });
  }

  /// Cancels every call that runs with this token, now and later.
  Result<void> trigger() const {
    return detail::check(
        [&](polygraft_error **error) { return polygraft_cancel_trigger(get(), error); });
  }
};

POLYGRAFT_END

#endif  // POLYGRAFT_ENGINE_HPP

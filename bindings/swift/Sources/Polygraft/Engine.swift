import CPolygraft

/// How bad a logged message is.
public struct Severity: LibraryConstant, Comparable {
    /// The number of the constant in the header.
    public let rawValue: UInt32

    /// Makes the value of a number, also of one that this package does not know.
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// Details of what ONNX Runtime does to a graph.
    public static let verbose = Self(POLYGRAFT_LOG_VERBOSE)
    /// What is normal, for example that something was opened.
    public static let info = Self(POLYGRAFT_LOG_INFO)
    /// Something is suspicious, and the call continues.
    public static let warning = Self(POLYGRAFT_LOG_WARNING)
    /// A call fails; its error says the same.
    public static let error = Self(POLYGRAFT_LOG_ERROR)
    /// A fatal failure.
    public static let fatal = Self(POLYGRAFT_LOG_FATAL)

    /// The values that this package knows, with their names.
    public static let names: [Self: String] = [
        verbose: "verbose", info: "info", warning: "warning", error: "error", fatal: "fatal",
    ]

    /// A less severe message comes first.
    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// The opened ONNX Runtime library. One engine per process is enough.
///
/// Every method may be called from any thread, also while another thread closes the engine.
public final class Engine: Sendable {
    /// Receives a severity, a source (`onnxruntime` or `polygraft`) and a message. It may be called
    /// on any thread, also on several at once.
    public typealias Log = @Sendable (Severity, _ source: String, _ message: String) -> Void

    let handle: Handle
    /// The version of the opened ONNX Runtime.
    public let onnxRuntimeVersion: String
    /// The logger's number; 0 for none.
    private let logger: UInt

    /// Opens ONNX Runtime with its telemetry switched off. The first call in a process sets
    /// `ORT_DISABLE_TELEMETRY` to 1 in the environment, unless it is 1 already.
    ///
    /// - Parameters:
    ///   - onnxRuntime: The path of the library. Without it the library is searched in
    ///     `ORT_DYLIB_PATH`, beside the polygraft library, and where the system's loader looks.
    ///   - ortAPIBase: What the C function `OrtGetApiBase` of an ONNX Runtime returns that the
    ///     program has linked itself, for platforms where no library can be opened by a path. There
    ///     must be no `onnxRuntime` then.
    ///   - logFrom: The least severity that `log` receives.
    ///   - log: Receives what ONNX Runtime and polygraft log until the engine is closed.
    /// - Throws: `PolygraftError` with `runtimeNotFound`, `runtimeTooOld`, `runtimeFailed` or
    ///   `argumentInvalid`.
    public init(
        onnxRuntime: String? = nil, ortAPIBase: UnsafeRawPointer? = nil,
        logFrom: Severity = .warning, log: Log? = nil
    ) throws {
        try Library.checkABI()
        let logger = log.map(Loggers.add) ?? 0
        self.logger = logger
        do {
            let handle = try Arguments.with { arguments in
                var options = try defaults(polygraft_engine_options()) {
                    polygraft_engine_options_init($0, $1, $2)
                }
                options.onnxruntime_path = try arguments.text("onnxRuntime", onnxRuntime)
                options.ort_api_base = ortAPIBase
                options.log_severity = logFrom.rawValue
                if logger != 0 {
                    options.log = { Loggers.log($0, $1, $2, $3) }
                    options.log_user = UnsafeMutableRawPointer(bitPattern: logger)
                }
                return try Handle { polygraft_engine_open(&options, $0, $1) }
            }
            self.handle = handle
            // The view is valid until the engine is closed, so it is copied before anybody else can
            // close it. An open engine has a version, so this cannot fail.
            var version = polygraft_string_view()
            _ = polygraft_engine_onnxruntime_version(handle.pointer, &version, nil)
            onnxRuntimeVersion = String(version)
        } catch {
            Loggers.remove(logger)
            throw error
        }
    }

    /// Closes the engine; closing it twice does nothing. Models that were opened with it stay
    /// usable. It waits for running calls of `log`, unless `log` itself calls it.
    public func close() {
        var pointer = handle.pointer
        polygraft_engine_close(&pointer)
        Loggers.remove(logger)
    }

    deinit { close() }
}

/// The loggers of all engines. The library's user pointer is a number here, not an address, so a
/// message that comes while an engine is being closed cannot reach what is freed.
private enum Loggers {
    private static let all = Locked<(next: UInt, logs: [UInt: Engine.Log])>((1, [:]))

    static func add(_ log: @escaping Engine.Log) -> UInt {
        all.with {
            let number = $0.next
            $0.next += 1
            $0.logs[number] = log
            return number
        }
    }

    static func remove(_ number: UInt) {
        // The closure is released outside of the lock: releasing it may run code of the caller.
        _ = all.with { $0.logs.removeValue(forKey: number) }
    }

    static func log(
        _ severity: UInt32, _ source: polygraft_string_view, _ message: polygraft_string_view,
        _ user: UnsafeMutableRawPointer?
    ) {
        let number = UInt(bitPattern: user)
        guard let log = all.with({ $0.logs[number] }) else { return }
        log(Severity(rawValue: severity), String(source), String(message))
    }
}

import CPolygraft

/// A backbone with the adapters of a store.
///
/// Every method may be called from any thread, also on one model at once. A closed model throws
/// `PolygraftError` with the code `argumentInvalid`.
public final class Model: Sendable {
    /// How ONNX Runtime holds the weights.
    public struct Mode: LibraryConstant {
        /// The number of the constant in the header.
        public let rawValue: UInt32

        /// Makes the value of a number, also of one that this package does not know.
        public init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// The weights stay in clean, shared file pages. This takes the least private memory.
        public static let lean = Self(POLYGRAFT_MODE_LEAN)
        /// The weights are packed into private memory. This gives the fastest runs.
        public static let fast = Self(POLYGRAFT_MODE_FAST)

        /// The values that this package knows, with their names.
        public static let names: [Self: String] = [lean: "lean", fast: "fast"]
    }

    /// What opening a bundle checks.
    public struct Verification: LibraryConstant {
        /// The number of the constant in the header.
        public let rawValue: UInt32

        /// Makes the value of a number, also of one that this package does not know.
        public init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// The sizes of the files, and the hashes of those that are read whole anyway. This takes
        /// milliseconds.
        public static let quick = Self(POLYGRAFT_VERIFY_QUICK)
        /// The hash of every file. This takes as long as reading the files.
        public static let full = Self(POLYGRAFT_VERIFY_FULL)
        /// As `full` the first time, and as `quick` as long as the weights have not been written to
        /// since. This is the default.
        public static let remembered = Self(POLYGRAFT_VERIFY_REMEMBERED)

        /// The values that this package knows, with their names.
        public static let names: [Self: String] = [
            quick: "quick", full: "full", remembered: "remembered",
        ]
    }

    /// How to open a model.
    public struct Options: Hashable, Codable, Sendable {
        /// How ONNX Runtime holds the weights.
        public var mode = Mode.lean
        /// The number of threads of one prediction; 0 takes all cores.
        public var threads = 0
        /// What opening checks.
        public var verification = Verification.remembered
        /// Patterns of the module names where adapters may attach; none take the default.
        public var targets: [String] = []

        /// The defaults.
        public init() {}
    }

    let handle: Handle

    /// Opens the model in a bundle, with the adapters in a store. The model keeps the engine and
    /// the store open.
    ///
    /// - Throws: `bundle…`, `graph…`, `io…` and `runtimeFailed`.
    public init(
        engine: Engine, bundle: String, store: Store, options: Options = Options()
    ) throws {
        let bundle = try bundle.checked("bundle")
        handle = try Arguments.with { arguments in
            var settings = try defaults(polygraft_model_options()) {
                polygraft_model_options_init($0, $1, $2)
            }
            settings.mode = options.mode.rawValue
            settings.threads = try UInt32(checked: options.threads, "threads")
            settings.verify = options.verification.rawValue
            settings.targets = try arguments.array("targets", options.targets)
            settings.targets_count = UInt32(options.targets.count)
            // The caller's last use of the engine and of the store may be this call.
            return try withExtendedLifetime((engine, store)) {
                try Handle {
                    polygraft_model_open(
                        engine.handle.pointer, bundle, store.handle.pointer, &settings, $0, $1)
                }
            }
        }
    }

    /// Closes the model; closing it twice does nothing. It waits for running calls, unless it is
    /// called inside a callback. Updates that were begun with it continue.
    public func close() {
        var pointer = handle.pointer
        polygraft_model_close(&pointer)
    }

    deinit { close() }

    /// Compares the hash of every file of a bundle with its manifest.
    ///
    /// - Throws: `bundleMismatch`, whose message names the file, and others.
    public static func verifyBundle(at path: String) throws {
        let path = try path.checked("path")
        try call { polygraft_bundle_verify(path, $0) }
    }
}

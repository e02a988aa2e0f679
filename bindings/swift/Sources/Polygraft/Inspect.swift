import CPolygraft
import Foundation

/// A language that is asked for a version.
public struct ChainStep: Hashable, Codable, Sendable {
    /// The reason why a language is in a chain.
    public struct Kind: LibraryConstant {
        /// The number of the constant in the header.
        public let rawValue: UInt32

        /// Makes the value of a number, also of one that this package does not know.
        public init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// The requested language.
        public static let own = Self(POLYGRAFT_STEP_OWN)
        /// A language whose tag is a prefix of the requested tag.
        public static let shorterTag = Self(POLYGRAFT_STEP_SHORTER_TAG)
        /// The nearest language with an active version.
        public static let nearest = Self(POLYGRAFT_STEP_NEAREST)
        /// The nearest language with an active version, too far away to serve.
        public static let tooFar = Self(POLYGRAFT_STEP_TOO_FAR)
        /// The shared adapter, `mul`.
        public static let shared = Self(POLYGRAFT_STEP_SHARED)

        /// The values that this package knows, with their names.
        public static let names: [Self: String] = [
            own: "own", shorterTag: "shorter tag", nearest: "nearest", tooFar: "too far",
            shared: "shared",
        ]
    }

    /// Why the language is in the chain.
    public let kind: Kind
    /// The language.
    public let language: String
    /// The mixed typological distance to the requested language, 0 to 1.
    public let distance: Double?
    /// The number of the language's active version.
    public let version: Int?
    /// True if this version serves the requested language.
    public let serves: Bool

    init(_ entry: polygraft_chain_step) {
        kind = Kind(rawValue: entry.kind)
        language = String(entry.language)
        distance = measured(entry.distance)
        version = entry.version == 0 ? nil : Int(entry.version)
        serves = entry.serves != 0
    }
}

/// The result of one check.
public struct Check: Hashable, Codable, Sendable {
    /// The outcome of a check.
    public struct State: LibraryConstant {
        /// The number of the constant in the header.
        public let rawValue: UInt32

        /// Makes the value of a number, also of one that this package does not know.
        public init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// Nothing is wrong.
        public static let ok = Self(POLYGRAFT_CHECK_OK)
        /// Worth knowing, and nothing is wrong.
        public static let note = Self(POLYGRAFT_CHECK_NOTE)
        /// Something is wrong.
        public static let wrong = Self(POLYGRAFT_CHECK_WRONG)

        /// The values that this package knows, with their names.
        public static let names: [Self: String] = [ok: "ok", note: "note", wrong: "wrong"]
    }

    /// The outcome.
    public let state: State
    /// What was checked, for example `onnxruntime`, `bundle` or `store`.
    public let subject: String
    /// What was found, in lines.
    public let details: String
    /// The code of what is wrong; nil if nothing is, or if several things are.
    public let code: PolygraftError.Code?

    init(_ entry: polygraft_check) {
        state = State(rawValue: entry.state)
        subject = String(entry.subject)
        details = String(entry.details)
        code =
            entry.status == polygraft_status(POLYGRAFT_OK)
            ? nil : PolygraftError.Code(rawValue: entry.status)
    }
}

/// What a check of this machine, a bundle and a store found.
public struct Diagnosis: Hashable, Codable, Sendable {
    /// The results, in the order in which the checks were made.
    public let checks: [Check]
    /// True if no check is wrong.
    public let isAllRight: Bool

    /// Checks this machine and ONNX Runtime, and a bundle and a store if their paths are given, as
    /// the command `polygraft doctor` does. It changes and repairs nothing. What is wrong is in the
    /// result and is not thrown.
    ///
    /// - Parameters:
    ///   - onnxRuntime: The path of ONNX Runtime; nil searches as `Engine` does.
    ///   - bundle: The folder of a bundle.
    ///   - store: The folder of a store, which is not created.
    ///   - mode: How the weights of the bundle are held during the check.
    ///   - verification: How much of the bundle is checked.
    public init(
        onnxRuntime: String? = nil, bundle: String? = nil, store: String? = nil,
        mode: Model.Mode = .lean, verification: Model.Verification = .full
    ) throws {
        self = try Arguments.with { arguments in
            var options = try defaults(polygraft_diagnose_options()) {
                polygraft_diagnose_options_init($0, $1, $2)
            }
            options.mode = mode.rawValue
            options.verify = verification.rawValue
            options.onnxruntime_path = try arguments.text("onnxRuntime", onnxRuntime)
            options.bundle_path = try arguments.text("bundle", bundle)
            options.store_path = try arguments.text("store", store)
            return try withObject(
                { polygraft_diagnose(&options, $0, $1) },
                free: { polygraft_checks_free($0) }, Diagnosis.init(copying:))
        }
    }

    /// Copies a list of the library.
    init(copying list: OpaquePointer?) throws {
        checks = try (0..<polygraft_checks_count(list)).map { index in
            Check(
                try filled(polygraft_check(), \.struct_size) {
                    polygraft_checks_get(list, index, $0, $1)
                })
        }
        isAllRight = polygraft_checks_all_right(list) != 0
    }
}

/// The functions that look and change nothing.
extension Store {
    /// Lists the languages that are asked for a version of a task, in their order, and says which
    /// one serves the language.
    public func explain(task: String, language: String) throws -> [ChainStep] {
        let (task, tag) = try (task.checked("task"), language.checked("language"))
        return try withObject(
            { polygraft_store_explain(handle.pointer, task, tag, $0, $1) },
            free: { polygraft_chain_free($0) }
        ) { chain in
            try (0..<polygraft_chain_count(chain)).map { index in
                ChainStep(
                    try filled(polygraft_chain_step(), \.struct_size) {
                        polygraft_chain_get(chain, index, $0, $1)
                    })
            }
        }
    }

    /// Compares every version with its hash. There is one check for each file that is missing or
    /// damaged.
    public func verify() throws -> [Check] {
        try withObject(
            { polygraft_store_verify(handle.pointer, $0, $1) },
            free: { polygraft_checks_free($0) }, Diagnosis.init(copying:)
        ).checks
    }
}

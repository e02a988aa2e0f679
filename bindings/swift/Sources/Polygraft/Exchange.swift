import CPolygraft

/// A format of adapters.
public struct AdapterFormat: LibraryConstant {
    /// The number of the constant in the header.
    public let rawValue: UInt32

    /// Makes the value of a number, also of one that this package does not know.
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// polygraft's own file.
    public static let own = Self(POLYGRAFT_FORMAT_OWN)
    /// A folder of the library PEFT.
    public static let peft = Self(POLYGRAFT_FORMAT_PEFT)
    /// A file of ONNX Runtime, `.onnx_adapter`.
    public static let onnxAdapter = Self(POLYGRAFT_FORMAT_ONNX_ADAPTER)
    /// A folder of the library `adapters` of AdapterHub.
    public static let adapterHub = Self(POLYGRAFT_FORMAT_ADAPTERHUB)

    /// The values that this package knows, with their names.
    public static let names: [Self: String] = [
        own: "own", peft: "peft", onnxAdapter: "onnx-adapter", adapterHub: "adapterhub",
    ]
}

/// How to import. `init()` takes the defaults from the library.
public struct ImportOptions: Hashable, Codable, Sendable {
    /// Whether an imported version becomes active.
    public struct Activation: LibraryConstant {
        /// The number of the constant in the header.
        public let rawValue: UInt32

        /// Makes the value of a number, also of one that this package does not know.
        public init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// The version is published and does not become active.
        public static let never = Self(POLYGRAFT_ACTIVATION_NEVER)
        /// The version becomes active if the gate finds it no worse than the version that serves
        /// the language, on the held-out examples that are remembered for it, or if nothing serves
        /// it yet. This is the default.
        public static let gated = Self(POLYGRAFT_ACTIVATION_GATED)
        /// The version becomes active without being measured, unless the language is pinned.
        public static let always = Self(POLYGRAFT_ACTIVATION_ALWAYS)

        /// The values that this package knows, with their names.
        public static let names: [Self: String] = [
            never: "never", gated: "gated", always: "always",
        ]
    }

    /// Whether the version becomes active.
    public var activation: Activation
    /// The loss of accuracy that the gate still counts as not worse, 0 to 1.
    public var gateMargin: Double
    /// The confidence of the gate, from 0.5 to less than 1.
    public var gateConfidence: Double
    /// The labels of the head in the order of its outputs, instead of those that the file states.
    /// An adapter without a head gets a new one of zeros for them.
    public var labels: [String] = []
    /// The head reads the pooled hidden states of the bundle, whatever model class the file names.
    public var headOnPooled: Bool
    /// The prefix of the layers in the other library's model, for example `bert`, or an empty text.
    /// Without it, it is found from the names.
    public var encoder: String?
    /// The prefix of the same layers in the bundle, if several fit.
    public var within: String?

    /// The defaults of the library.
    public init() throws {
        let settings = try ImportOptions.settings()
        activation = Activation(rawValue: settings.activation)
        gateMargin = settings.gate_margin
        gateConfidence = settings.gate_confidence
        headOnPooled = settings.head_on_pooled != 0
    }

    static func settings() throws -> polygraft_import_options {
        try defaults(polygraft_import_options()) { polygraft_import_options_init($0, $1, $2) }
    }

    /// Writes the options into the library's.
    func filled(_ arguments: Arguments) throws -> polygraft_import_options {
        var settings = try ImportOptions.settings()
        settings.activation = activation.rawValue
        settings.gate_margin = gateMargin
        settings.gate_confidence = gateConfidence
        settings.labels = try arguments.array("labels", labels)
        settings.labels_count = UInt32(labels.count)
        settings.head_on_pooled = headOnPooled ? 1 : 0
        settings.encoder = try arguments.text("encoder", encoder)
        settings.within = try arguments.text("within", within)
        return settings
    }
}

/// How to export. Properties that are nil take their defaults.
public struct ExportOptions: Hashable, Codable, Sendable {
    /// The format.
    public var format = AdapterFormat.own
    /// The name of the encoder in the other library's model, for example `bert`.
    public var encoder: String?
    /// The prefix of the layers in the bundle that is not written.
    public var within: String?
    /// The module of the head in PEFT's model; `classifier` by default.
    public var headModule: String?
    /// The name of the adapter in AdapterHub; `polygraft` by default.
    public var name: String?
    /// The name of the architecture in AdapterHub, for example `xlm-roberta`; as `encoder` by
    /// default.
    public var modelType: String?
    /// Leaves the head out.
    public var withoutHead = false

    /// polygraft's own format.
    public init() {}
}

/// A version that was imported.
public struct Imported: Hashable, Codable, Sendable {
    /// The number of the version.
    public let version: Int
    /// True if the version is active.
    public let isActivated: Bool
    /// The format that was found.
    public let format: AdapterFormat
    /// What the gate decided; nil if it was not asked.
    public let decision: LanguageReport?
    /// Notes about the translation of an adapter of another library.
    public let notes: [String]

    init(copying imported: OpaquePointer?, isGated: Bool) throws {
        version = Int(polygraft_imported_version(imported))
        isActivated = polygraft_imported_activated(imported) != 0
        format = AdapterFormat(rawValue: polygraft_imported_format(imported))
        notes = (0..<polygraft_imported_notes_count(imported)).map {
            String(polygraft_imported_note(imported, $0))
        }
        decision =
            isGated
            ? LanguageReport(
                try filled(polygraft_language_report(), \.struct_size) {
                    polygraft_imported_decision(imported, $0, $1)
                }) : nil
    }
}

/// The functions that exchange adapters with other programs.
extension Model {
    /// Imports the adapter in a file or folder of any format as a new version of a language. A base
    /// adapter is installed by importing it for the language `mul`.
    ///
    /// - Throws: `cancelled`, `notFound`, `adapter…`, `storeLocked` and others.
    public func importAdapter(
        task: String, language: String, path: String, options: ImportOptions? = nil,
        cancel: Cancel? = nil
    ) throws -> Imported {
        let (task, tag) = try (task.checked("task"), language.checked("language"))
        let path = try path.checked("path")
        return try Arguments.with { arguments in
            var settings =
                try options?.filled(arguments) ?? ImportOptions.settings()
            settings.cancel = cancel?.handle.pointer
            let isGated = settings.activation == UInt32(POLYGRAFT_ACTIVATION_GATED)
            return try withExtendedLifetime(cancel) {
                try withObject(
                    { polygraft_model_import(handle.pointer, task, tag, path, &settings, $0, $1) },
                    free: { polygraft_imported_free($0) }
                ) { try Imported(copying: $0, isGated: isGated) }
            }
        }
    }

    /// Imports on a thread of its own. Cancelling the task cancels the measuring.
    ///
    /// - Throws: As the function that blocks, and `CancellationError` instead of `cancelled`.
    public func importAdapter(
        task: String, language: String, path: String, options: ImportOptions? = nil
    ) async throws -> Imported {
        try await offloaded {
            try self.importAdapter(
                task: task, language: language, path: path, options: options, cancel: $0)
        }
    }

    /// Writes a version of a language to a path where nothing is yet. Without a number it is the
    /// active version of the language itself.
    ///
    /// - Throws: `argumentInvalid` if something is at the path, `storeNoVersion`,
    ///   `adapterUnsupported` if the format cannot represent the adapter, and others.
    public func exportAdapter(
        task: String, language: String, version: Int? = nil, path: String,
        options: ExportOptions = ExportOptions()
    ) throws {
        let (task, tag) = try (task.checked("task"), language.checked("language"))
        let path = try path.checked("path")
        let number = try UInt32(checked: version ?? 0, "version")
        try Arguments.with { arguments in
            var settings = try defaults(polygraft_export_options()) {
                polygraft_export_options_init($0, $1, $2)
            }
            settings.format = options.format.rawValue
            settings.encoder = try arguments.text("encoder", options.encoder)
            settings.within = try arguments.text("within", options.within)
            settings.head_module = try arguments.text("headModule", options.headModule)
            settings.name = try arguments.text("name", options.name)
            settings.model_type = try arguments.text("modelType", options.modelType)
            settings.without_head = options.withoutHead ? 1 : 0
            try call {
                polygraft_model_export(handle.pointer, task, tag, number, path, &settings, $0)
            }
        }
    }
}

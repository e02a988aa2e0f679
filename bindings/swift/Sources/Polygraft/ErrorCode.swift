import CPolygraft

extension PolygraftError {
    /// The kind of a failure. Later versions of the library add more.
    public struct Code: RawRepresentable, Hashable, Codable, Sendable, CustomStringConvertible {
        /// The number of the header's `POLYGRAFT_ERROR_*`.
        public let rawValue: Int32

        /// Makes the code of a number.
        public init(rawValue: Int32) {
            self.rawValue = rawValue
        }

        /// Makes the code of a constant of the header.
        init(_ constant: Int) {
            self.init(rawValue: Int32(truncatingIfNeeded: constant))
        }

        /// The stable name, for example `adapter.base_mismatch`.
        public var name: String { String(polygraft_status_name(rawValue)) }
        /// The stable name.
        public var description: String { name }

        /// Lets `catch PolygraftError.Code.storeNoVersion` catch the failures of this code.
        public static func ~= (code: Code, error: any Error) -> Bool {
            (error as? PolygraftError)?.code == code
        }
    }
}

extension PolygraftError.Code {
    /// A defect in polygraft itself: an internal invariant does not hold.
    public static let `internal` = Self(POLYGRAFT_ERROR_INTERNAL)
    /// A panic was caught at the C boundary; the handle that the call used must be closed.
    public static let panic = Self(POLYGRAFT_ERROR_PANIC)
    /// The operation was cancelled by its caller.
    public static let cancelled = Self(POLYGRAFT_ERROR_CANCELLED)
    /// A required pointer was NULL.
    public static let argumentNull = Self(POLYGRAFT_ERROR_ARGUMENT_NULL)
    /// A text was not valid UTF-8.
    public static let argumentUTF8 = Self(POLYGRAFT_ERROR_ARGUMENT_UTF8)
    /// An argument or an option has a value outside of its range.
    public static let argumentInvalid = Self(POLYGRAFT_ERROR_ARGUMENT_INVALID)
    /// A file or folder does not exist.
    public static let notFound = Self(POLYGRAFT_ERROR_NOT_FOUND)
    /// A file could not be read.
    public static let ioRead = Self(POLYGRAFT_ERROR_IO_READ)
    /// A file could not be written.
    public static let ioWrite = Self(POLYGRAFT_ERROR_IO_WRITE)
    /// The disk or the quota is full; nothing has changed.
    public static let ioFull = Self(POLYGRAFT_ERROR_IO_FULL)
    /// No ONNX Runtime library was found.
    public static let runtimeNotFound = Self(POLYGRAFT_ERROR_RUNTIME_NOT_FOUND)
    /// The ONNX Runtime library is older than polygraft needs.
    public static let runtimeTooOld = Self(POLYGRAFT_ERROR_RUNTIME_TOO_OLD)
    /// ONNX Runtime refused a model or a run.
    public static let runtimeFailed = Self(POLYGRAFT_ERROR_RUNTIME_FAILED)
    /// A model gave a number that is not finite, so there is no prediction.
    public static let runtimeNotFinite = Self(POLYGRAFT_ERROR_RUNTIME_NOT_FINITE)
    /// The bytes are not a valid ONNX model.
    public static let graphMalformed = Self(POLYGRAFT_ERROR_GRAPH_MALFORMED)
    /// An operator or a construct is not supported in this place of the graph.
    public static let graphUnsupported = Self(POLYGRAFT_ERROR_GRAPH_UNSUPPORTED)
    /// External weight data is missing, truncated or outside of the folder.
    public static let graphExternalData = Self(POLYGRAFT_ERROR_GRAPH_EXTERNAL_DATA)
    /// The manifest of a bundle is missing, malformed or of an unknown version.
    public static let bundleManifest = Self(POLYGRAFT_ERROR_BUNDLE_MANIFEST)
    /// A file of a bundle does not have the content its manifest states.
    public static let bundleMismatch = Self(POLYGRAFT_ERROR_BUNDLE_MISMATCH)
    /// The tokenizer cannot be read or does not fit the backbone.
    public static let bundleTokenizer = Self(POLYGRAFT_ERROR_BUNDLE_TOKENIZER)
    /// The model of a bundle cannot be used for predictions or updates.
    public static let bundleUnusable = Self(POLYGRAFT_ERROR_BUNDLE_UNUSABLE)
    /// An adapter file is malformed.
    public static let adapterMalformed = Self(POLYGRAFT_ERROR_ADAPTER_MALFORMED)
    /// An adapter was trained on another backbone.
    public static let adapterBaseMismatch = Self(POLYGRAFT_ERROR_ADAPTER_BASE_MISMATCH)
    /// Tensors of an adapter are missing, extra or misshapen.
    public static let adapterTensors = Self(POLYGRAFT_ERROR_ADAPTER_TENSORS)
    /// The backbone has no site that matches the adapter.
    public static let adapterNoSite = Self(POLYGRAFT_ERROR_ADAPTER_NO_SITE)
    /// An adapter of another library uses a feature that polygraft does not support, or the
    /// reverse.
    public static let adapterUnsupported = Self(POLYGRAFT_ERROR_ADAPTER_UNSUPPORTED)
    /// An adapter was trained with another reading of texts than the bundle's, or does not state
    /// it.
    public static let adapterIdentityMismatch = Self(POLYGRAFT_ERROR_ADAPTER_IDENTITY_MISMATCH)
    /// A text is empty.
    public static let taskEmptyText = Self(POLYGRAFT_ERROR_TASK_EMPTY_TEXT)
    /// A text or label is longer than the stated limit.
    public static let taskTooLong = Self(POLYGRAFT_ERROR_TASK_TOO_LONG)
    /// A label is not among the labels of the adapter.
    public static let taskUnknownLabel = Self(POLYGRAFT_ERROR_TASK_UNKNOWN_LABEL)
    /// A task name is malformed.
    public static let taskName = Self(POLYGRAFT_ERROR_TASK_NAME)
    /// An input, a target or an adapter is of another kind than the task.
    public static let taskKind = Self(POLYGRAFT_ERROR_TASK_KIND)
    /// A language tag is not BCP 47.
    public static let languageMalformed = Self(POLYGRAFT_ERROR_LANGUAGE_MALFORMED)
    /// A language tag is well-formed, but no such language is registered.
    public static let languageUnknown = Self(POLYGRAFT_ERROR_LANGUAGE_UNKNOWN)
    /// A store file is malformed or of an unknown version.
    public static let storeMalformed = Self(POLYGRAFT_ERROR_STORE_MALFORMED)
    /// A stored file does not have the content its record states.
    public static let storeCorrupt = Self(POLYGRAFT_ERROR_STORE_CORRUPT)
    /// The store has no such version, or no version that serves the language.
    public static let storeNoVersion = Self(POLYGRAFT_ERROR_STORE_NO_VERSION)
    /// Another process or handle is writing to the store.
    public static let storeLocked = Self(POLYGRAFT_ERROR_STORE_LOCKED)
    /// The language is pinned to a version.
    public static let storePinned = Self(POLYGRAFT_ERROR_STORE_PINNED)
    /// The store has changed since the caller read it.
    public static let storeChanged = Self(POLYGRAFT_ERROR_STORE_CHANGED)
    /// A file of the rehearsal buffer is malformed.
    public static let rehearsalMalformed = Self(POLYGRAFT_ERROR_REHEARSAL_MALFORMED)
    /// A line of an examples file is malformed.
    public static let examplesMalformed = Self(POLYGRAFT_ERROR_EXAMPLES_MALFORMED)
    /// An update has no training examples.
    public static let updateNoExamples = Self(POLYGRAFT_ERROR_UPDATE_NO_EXAMPLES)
    /// An update has examples of one label only and the task has no others.
    public static let updateOneClass = Self(POLYGRAFT_ERROR_UPDATE_ONE_CLASS)
    /// A function of the update was called in the wrong order.
    public static let updateState = Self(POLYGRAFT_ERROR_UPDATE_STATE)
    /// The loss or a gradient is not a finite number.
    public static let updateDiverged = Self(POLYGRAFT_ERROR_UPDATE_DIVERGED)
    /// A checkpoint belongs to another update, or is damaged.
    public static let updateCheckpoint = Self(POLYGRAFT_ERROR_UPDATE_CHECKPOINT)
    /// The bytes of a round are damaged, or contain what is refused.
    public static let roundMalformed = Self(POLYGRAFT_ERROR_ROUND_MALFORMED)
    /// A round belongs to another bundle, task, message or base version.
    public static let roundMismatch = Self(POLYGRAFT_ERROR_ROUND_MISMATCH)
}

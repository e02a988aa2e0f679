import CPolygraft

/// A switch that cancels the predictions and updates it is given to. Once thrown, it stays so.
public final class Cancel: @unchecked Sendable {
    let handle: OpaquePointer?

    public init() throws {
        var opened: OpaquePointer?
        try call { polygraft_cancel_open(&opened, $0) }
        handle = opened
    }

    /// Cancels everything that runs with this switch, now and later.
    public func trigger() {
        // The switch is open as long as this object lives, so this cannot fail.
        _ = polygraft_cancel_trigger(handle, nil)
    }

    deinit {
        var handle = handle
        polygraft_cancel_close(&handle)
    }
}

/// How ONNX Runtime holds the weights.
public enum Mode: UInt32, Sendable {
    /// Clean, shared file pages: the least private memory.
    case lean = 0
    /// Private, packed memory: the fastest runs.
    case fast = 1
}

/// The answer to one text.
public struct Prediction: Sendable, Equatable {
    /// One possible answer.
    public struct Label: Sendable, Equatable {
        public let name: String
        public let probability: Float
    }

    /// Sorted by probability, highest first.
    public let labels: [Label]
    /// The language whose version answered: the one asked for or what it fell back to.
    public let language: String
    /// The number of that version.
    public let version: UInt32
    /// The text was longer than the model reads and was cut.
    public let isTruncated: Bool

    init(_ prediction: OpaquePointer?) {
        labels = (0..<polygraft_prediction_labels_count(prediction)).map { index in
            Label(
                name: String(polygraft_prediction_label(prediction, index)),
                probability: polygraft_prediction_probability(prediction, index)
            )
        }
        language = String(polygraft_prediction_language(prediction))
        version = polygraft_prediction_version(prediction)
        isTruncated = polygraft_prediction_truncated(prediction) != 0
    }
}

/// A backbone with the adapters of a store on it. Safe to use from many threads.
public final class Model: @unchecked Sendable {
    let handle: OpaquePointer?

    /// Opens the model in a bundle, with the adapters in a store.
    public init(
        engine: Engine, bundle: String, store: Store, mode: Mode = .lean, threads: UInt32 = 0,
        verifyFully: Bool = false
    ) throws {
        var opened: OpaquePointer?
        var options = polygraft_model_options()
        let size = MemoryLayout<polygraft_model_options>.size
        try call { polygraft_model_options_init(&options, size, $0) }
        options.mode = mode.rawValue
        options.threads = threads
        options.verify = UInt32(verifyFully ? POLYGRAFT_VERIFY_FULL : POLYGRAFT_VERIFY_QUICK)
        let bundle = try bundle.checked("bundle")
        try call {
            polygraft_model_open(engine.handle, bundle, store.handle, &options, &opened, $0)
        }
        handle = opened
    }

    /// Closes the model; calls that run finish first.
    public func close() {
        var handle = handle
        polygraft_model_close(&handle)
    }

    deinit { close() }

    /// Predicts the label of one text. `topK` of 0 gives all labels.
    public func predict(
        task: String, language: String, text: String, topK: UInt32 = 0, cancel: Cancel? = nil
    ) throws -> Prediction {
        var prediction: OpaquePointer?
        var options = try predictOptions(topK, cancel)
        let (task, tag) = try (task.checked("task"), language.checked("language"))
        let text = try text.checked("text")
        try call {
            polygraft_model_predict(handle, task, tag, text, &options, &prediction, $0)
        }
        defer { polygraft_prediction_free(&prediction) }
        return withExtendedLifetime(cancel) { Prediction(prediction) }
    }

    /// Predicts the labels of several texts in one language, sooner than one by one.
    public func predict(
        task: String, language: String, texts: [String], topK: UInt32 = 0, cancel: Cancel? = nil
    ) throws -> [Prediction] {
        var batch: OpaquePointer?
        var options = try predictOptions(topK, cancel)
        let (task, tag) = try (task.checked("task"), language.checked("language"))
        try withTexts(texts.map { try $0.checked("text") }) { pointers in
            try call {
                polygraft_model_predict_batch(
                    handle, task, tag, pointers, texts.count, &options, &batch, $0)
            }
        }
        defer { polygraft_predictions_free(&batch) }
        return withExtendedLifetime(cancel) {
            (0..<polygraft_predictions_count(batch)).map {
                Prediction(polygraft_predictions_get(batch, $0))
            }
        }
    }

    private func predictOptions(
        _ topK: UInt32, _ cancel: Cancel?
    ) throws -> polygraft_predict_options {
        var options = polygraft_predict_options()
        let size = MemoryLayout<polygraft_predict_options>.size
        try call { polygraft_predict_options_init(&options, size, $0) }
        options.top_k = topK
        options.cancel = cancel?.handle
        return options
    }
}

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

/// A backbone with the adapters of a store on it. Safe to use from many threads.
public final class Model: @unchecked Sendable {
    let handle: OpaquePointer?

    /// Opens the model in a bundle, with the adapters in a store.
    ///
    /// The weights are read whole when they are met first, and this is remembered as long as they
    /// are not written since; `verifyFully` reads them each time, `verifyQuickly` never.
    public init(
        engine: Engine, bundle: String, store: Store, mode: Mode = .lean, threads: UInt32 = 0,
        verifyFully: Bool = false, verifyQuickly: Bool = false
    ) throws {
        var opened: OpaquePointer?
        var options = polygraft_model_options()
        let size = MemoryLayout<polygraft_model_options>.size
        try call { polygraft_model_options_init(&options, size, $0) }
        options.mode = mode.rawValue
        options.threads = threads
        if verifyFully {
            options.verify = UInt32(POLYGRAFT_VERIFY_FULL)
        } else if verifyQuickly {
            options.verify = UInt32(POLYGRAFT_VERIFY_QUICK)
        }
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

    /// Answers one text. `topK` of 0 gives all labels.
    public func predict(
        task: String, language: String, text: String, topK: UInt32 = 0, cancel: Cancel? = nil
    ) throws -> Prediction {
        try predict(
            task: task, language: language, input: .text(text), topK: topK, cancel: cancel)
    }

    /// Answers several texts in one language, sooner than one by one.
    public func predict(
        task: String, language: String, texts: [String], topK: UInt32 = 0, cancel: Cancel? = nil
    ) throws -> [Prediction] {
        try predict(
            task: task, language: language, inputs: texts.map { .text($0) }, topK: topK,
            cancel: cancel)
    }

    /// Answers one input. A text that is cancelled ends where it is; any other answer throws.
    public func predict(
        task: String, language: String, input: Input, topK: UInt32 = 0,
        generate: GenerateOptions? = nil, cancel: Cancel? = nil
    ) throws -> Prediction {
        let (task, tag) = try (task.checked("task"), language.checked("language"))
        var prediction: OpaquePointer?
        try withInputs([input]) { inputs in
            try withOptions(topK, generate, cancel) { options in
                try call {
                    polygraft_model_predict_input(
                        handle, task, tag, inputs[0], options, &prediction, $0)
                }
            }
        }
        defer { polygraft_prediction_free(&prediction) }
        return Prediction(prediction)
    }

    /// Answers several inputs in one language, sooner than one by one.
    public func predict(
        task: String, language: String, inputs: [Input], topK: UInt32 = 0,
        generate: GenerateOptions? = nil, cancel: Cancel? = nil
    ) throws -> [Prediction] {
        let (task, tag) = try (task.checked("task"), language.checked("language"))
        var batch: OpaquePointer?
        try withInputs(inputs) { inputs in
            try withOptions(topK, generate, cancel) { options in
                try call {
                    polygraft_model_predict_inputs(
                        handle, task, tag, inputs, inputs.count, options, &batch, $0)
                }
            }
        }
        defer { polygraft_predictions_free(&batch) }
        return (0..<polygraft_predictions_count(batch)).map {
            Prediction(polygraft_predictions_get(batch, $0))
        }
    }

    /// Answers one text with a text and hands it out while it grows, in whole characters; `onPiece`
    /// returns false to end it. With several beams the whole text comes at the end.
    public func generate(
        task: String, language: String, text: String, options: GenerateOptions? = nil,
        cancel: Cancel? = nil, onPiece: @escaping (String) -> Bool
    ) throws -> Prediction {
        let (task, tag) = try (task.checked("task"), language.checked("language"))
        let text = try text.checked("text")
        var prediction: OpaquePointer?
        let reader = PieceReader(onPiece)
        try withExtendedLifetime(reader) {
            let user = Unmanaged.passUnretained(reader).toOpaque()
            try withOptions(0, options, cancel) { options in
                try call {
                    polygraft_model_generate(
                        handle, task, tag, text, options, &prediction, $0,
                        { piece, user in
                            guard let user else { return 1 }
                            let reader = Unmanaged<PieceReader>.fromOpaque(user)
                                .takeUnretainedValue()
                            return reader.proceed(String(piece)) ? 0 : 1
                        },
                        user
                    )
                }
            }
        }
        defer { polygraft_prediction_free(&prediction) }
        return Prediction(prediction)
    }

    /// Gives one vector per text: the pooled hidden state of the backbone with the version that
    /// serves `language` in `task`, or of the bare backbone without them. Of length 1 if
    /// `normalise`, so that the product of two is their cosine. Vectors of different versions are
    /// not comparable.
    public func embed(
        texts: [String], task: String? = nil, language: String? = nil, normalise: Bool = true
    ) throws -> [[Float]] {
        let (task, tag) = try (task?.checked("task"), language?.checked("language"))
        var vectors: OpaquePointer?
        try withTexts(texts.map { try $0.checked("texts") }) { pointers in
            try call {
                polygraft_model_embed(
                    handle, task, tag, pointers, texts.count, normalise ? 1 : 0, &vectors, $0)
            }
        }
        defer { polygraft_vectors_free(&vectors) }
        let size = polygraft_vectors_size(vectors)
        return (0..<polygraft_vectors_count(vectors)).map { index in
            let values = polygraft_vectors_get(vectors, index)
            return Array(UnsafeBufferPointer(start: values, count: size))
        }
    }

    /// Lends options to C for the length of a call.
    private func withOptions<Result>(
        _ topK: UInt32, _ generate: GenerateOptions?, _ cancel: Cancel?,
        _ body: (UnsafePointer<polygraft_predict_options>) throws -> Result
    ) throws -> Result {
        var options = polygraft_predict_options()
        let size = MemoryLayout<polygraft_predict_options>.size
        try call { polygraft_predict_options_init(&options, size, $0) }
        options.top_k = topK
        options.cancel = cancel?.handle
        let stops = try (generate?.stops ?? []).map { try $0.checked("stops") }
        if let generate {
            options.beams = generate.beams
            options.tokens_max = generate.tokensMax
            options.length_penalty = generate.lengthPenalty
            options.tokens_min = generate.tokensMin
            options.no_repeat = generate.noRepeat
            options.repetition_penalty = generate.repetitionPenalty
            options.forced_begin = generate.forcedBegin.map { Int64($0) } ?? -1
        }
        return try withTexts(stops) { pointers in
            options.stops = pointers
            options.stops_count = UInt32(stops.count)
            return try withExtendedLifetime(cancel) {
                try withUnsafePointer(to: options) { try body($0) }
            }
        }
    }
}

/// What the library's callback for pieces finds behind its user pointer.
private final class PieceReader {
    let proceed: (String) -> Bool

    init(_ proceed: @escaping (String) -> Bool) {
        self.proceed = proceed
    }
}

import CPolygraft

/// A token that cancels the predictions and updates it is given to. A cancelled token stays
/// cancelled.
public final class Cancel: @unchecked Sendable {
    let handle: OpaquePointer?

    public init() throws {
        var opened: OpaquePointer?
        try call { polygraft_cancel_open(&opened, $0) }
        handle = opened
    }

    /// Cancels every call that runs with this token, now and later.
    public func trigger() {
        // The token is open as long as this object lives, so this cannot fail.
        _ = polygraft_cancel_trigger(handle, nil)
    }

    deinit {
        var handle = handle
        polygraft_cancel_close(&handle)
    }
}

/// How ONNX Runtime holds the weights.
public enum Mode: UInt32, Sendable {
    /// The weights stay in clean, shared file pages. This takes the least private memory.
    case lean = 0
    /// The weights are packed into private memory. This gives the fastest runs.
    case fast = 1
}

/// A backbone with the adapters of a store. It is safe to use from many threads.
public final class Model: @unchecked Sendable {
    let handle: OpaquePointer?

    /// Opens the model in a bundle, with the adapters in a store.
    ///
    /// By default the weights are read whole the first time, and again only after somebody has
    /// written to them. `verifyFully` reads them each time, `verifyQuickly` never.
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

    /// Closes the model. It waits for running calls.
    public func close() {
        var handle = handle
        polygraft_model_close(&handle)
    }

    deinit { close() }

    /// Predicts for one text. With a `topK` of 0 it returns all labels.
    public func predict(
        task: String, language: String, text: String, topK: UInt32 = 0, cancel: Cancel? = nil
    ) throws -> Prediction {
        try predict(
            task: task, language: language, input: .text(text), topK: topK, cancel: cancel)
    }

    /// Predicts for several texts in one language, in less time than one call per text.
    public func predict(
        task: String, language: String, texts: [String], topK: UInt32 = 0, cancel: Cancel? = nil
    ) throws -> [Prediction] {
        try predict(
            task: task, language: language, inputs: texts.map { .text($0) }, topK: topK,
            cancel: cancel)
    }

    /// Predicts for one input. A generation that is cancelled returns the text as far as it is;
    /// other predictions throw.
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

    /// Predicts for several inputs in one language, in less time than one call per input.
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

    /// Predicts for inputs in many languages, each by the version that serves its language when the
    /// call begins, in less time than one call per input.
    public func predict(
        task: String, inputs: [(language: String, input: Input)], topK: UInt32 = 0,
        generate: GenerateOptions? = nil, cancel: Cancel? = nil
    ) throws -> [Prediction] {
        let task = try task.checked("task")
        let tags = try inputs.map { try $0.language.checked("languages") }
        var batch: OpaquePointer?
        try withTexts(tags) { tags in
            try withInputs(inputs.map { $0.input }) { inputs in
                try withOptions(topK, generate, cancel) { options in
                    try call {
                        polygraft_model_predict_many(
                            handle, task, tags, inputs, inputs.count, options, &batch, $0)
                    }
                }
            }
        }
        defer { polygraft_predictions_free(&batch) }
        return (0..<polygraft_predictions_count(batch)).map {
            Prediction(polygraft_predictions_get(batch, $0))
        }
    }

    /// Generates a text for one text and passes it to `onChunk` while it grows, in chunks of whole
    /// characters. `onChunk` returns false to end the text. With several beams the whole text comes
    /// at the end.
    public func generate(
        task: String, language: String, text: String, options: GenerateOptions? = nil,
        cancel: Cancel? = nil, onChunk: @escaping (String) -> Bool
    ) throws -> Prediction {
        let (task, tag) = try (task.checked("task"), language.checked("language"))
        let text = try text.checked("text")
        var prediction: OpaquePointer?
        let reader = ChunkReader(onChunk)
        try withExtendedLifetime(reader) {
            let user = Unmanaged.passUnretained(reader).toOpaque()
            try withOptions(0, options, cancel) { options in
                try call {
                    polygraft_model_generate(
                        handle, task, tag, text, options, &prediction, $0,
                        { chunk, user in
                            guard let user else { return 1 }
                            let reader = Unmanaged<ChunkReader>.fromOpaque(user)
                                .takeUnretainedValue()
                            return reader.proceed(String(chunk)) ? 0 : 1
                        },
                        user
                    )
                }
            }
        }
        defer { polygraft_prediction_free(&prediction) }
        return Prediction(prediction)
    }

    /// Returns one vector per text: the pooled hidden state of the backbone with the version that
    /// serves `language` in `task`, or of the bare backbone without them. If `normalise` is true,
    /// vectors have length 1, and the dot product of two is their cosine. Vectors of different
    /// versions cannot be compared.
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
        let stopStrings = try (generate?.stopStrings ?? []).map { try $0.checked("stopStrings") }
        if let generate {
            options.num_beams = generate.numBeams
            options.max_new_tokens = generate.maxNewTokens
            options.length_penalty = generate.lengthPenalty
            options.min_new_tokens = generate.minNewTokens
            options.no_repeat_ngram_size = generate.noRepeatNgramSize
            options.repetition_penalty = generate.repetitionPenalty
            options.forced_bos_token_id = generate.forcedBosTokenID.map { Int64($0) } ?? -1
        }
        return try withTexts(stopStrings) { pointers in
            options.stop_strings = pointers
            options.stop_strings_count = UInt32(stopStrings.count)
            return try withExtendedLifetime(cancel) {
                try withUnsafePointer(to: options) { try body($0) }
            }
        }
    }
}

/// The object behind the user pointer of the library's chunk callback.
private final class ChunkReader {
    let proceed: (String) -> Bool

    init(_ proceed: @escaping (String) -> Bool) {
        self.proceed = proceed
    }
}

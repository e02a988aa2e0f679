import CPolygraft

/// The functions that predict. They use the version that is active when they start, of the language
/// or of the one that it falls back to. They throw `PolygraftError`: `storeNoVersion` if the task
/// has learnt nothing, `cancelled`, `task…` and `language…` for what cannot be asked,
/// `runtimeFailed` and `runtimeNotFinite`.
extension Model {
    /// Predicts for one text. It returns the `topK` most probable labels; 0 returns all.
    public func predict(
        task: String, language: String, text: String, topK: Int = 0, cancel: Cancel? = nil
    ) throws -> Prediction {
        let (task, tag) = try (task.checked("task"), language.checked("language"))
        let text = try text.checked("text")
        return try withOptions(topK, nil, cancel) { options in
            try withPrediction {
                polygraft_model_predict(handle.pointer, task, tag, text, options, $0, $1)
            }
        }
    }

    /// Predicts for several texts in one language, in less time than one call per text. One bad
    /// text fails the whole call, and the message names it.
    public func predict(
        task: String, language: String, texts: [String], topK: Int = 0, cancel: Cancel? = nil
    ) throws -> [Prediction] {
        let (task, tag) = try (task.checked("task"), language.checked("language"))
        return try Arguments.with { arguments in
            let array = try arguments.array("texts", texts)
            return try withOptions(topK, nil, cancel) { options in
                try withPredictions {
                    polygraft_model_predict_batch(
                        handle.pointer, task, tag, array, texts.count, options, $0, $1)
                }
            }
        }
    }

    /// Predicts for one input. Tasks that tag words take words and texts, all others texts and
    /// pairs. A generation that is cancelled returns the text as far as it is; other predictions
    /// throw.
    public func predict(
        task: String, language: String, input: Input, topK: Int = 0,
        generate: GenerateOptions? = nil, cancel: Cancel? = nil
    ) throws -> Prediction {
        let (task, tag) = try (task.checked("task"), language.checked("language"))
        return try Arguments.with { arguments in
            let input = try arguments.input(input)
            return try withOptions(topK, generate, cancel) { options in
                try withPrediction {
                    polygraft_model_predict_input(
                        handle.pointer, task, tag, input, options, $0, $1)
                }
            }
        }
    }

    /// Predicts for several inputs in one language, in less time than one call per input.
    public func predict(
        task: String, language: String, inputs: [Input], topK: Int = 0,
        generate: GenerateOptions? = nil, cancel: Cancel? = nil
    ) throws -> [Prediction] {
        let (task, tag) = try (task.checked("task"), language.checked("language"))
        return try Arguments.with { arguments in
            let inputs = try inputs.map { try arguments.input($0) }
            return try withOptions(topK, generate, cancel) { options in
                try withPredictions {
                    polygraft_model_predict_inputs(
                        handle.pointer, task, tag, inputs, inputs.count, options, $0, $1)
                }
            }
        }
    }

    /// Predicts for inputs in many languages, each by the version that serves its language when the
    /// call begins, in less time than one call per input.
    public func predict(
        task: String, inputs: [LanguageInput], topK: Int = 0, generate: GenerateOptions? = nil,
        cancel: Cancel? = nil
    ) throws -> [Prediction] {
        let task = try task.checked("task")
        return try Arguments.with { arguments in
            let tags = try arguments.array("language", inputs.map(\.language))
            let inputs = try inputs.map { try arguments.input($0.input) }
            return try withOptions(topK, generate, cancel) { options in
                try withPredictions {
                    polygraft_model_predict_many(
                        handle.pointer, task, tags, inputs, inputs.count, options, $0, $1)
                }
            }
        }
    }

    /// Returns one vector per text: the pooled hidden state of the backbone with the version that
    /// serves `language` in `task`, or of the bare backbone without them. If `normalise` is true,
    /// vectors have length 1, and the dot product of two is their cosine. Vectors of different
    /// versions cannot be compared.
    public func embed(
        texts: [String], task: String? = nil, language: String? = nil, normalise: Bool = true
    ) throws -> [[Float]] {
        let (task, tag) = try (task?.checked("task"), language?.checked("language"))
        return try Arguments.with { arguments in
            let array = try arguments.array("texts", texts)
            return try withObject(
                {
                    polygraft_model_embed(
                        handle.pointer, task, tag, array, texts.count, normalise ? 1 : 0, $0, $1)
                }, free: { polygraft_vectors_free($0) }
            ) { vectors in
                let size = polygraft_vectors_size(vectors)
                return (0..<polygraft_vectors_count(vectors)).map { index in
                    let values = polygraft_vectors_get(vectors, index)
                    return Array(UnsafeBufferPointer(start: values, count: size))
                }
            }
        }
    }

    /// Lends options to C for the length of a call.
    func withOptions<Result>(
        _ topK: Int, _ generate: GenerateOptions?, _ cancel: Cancel?,
        _ body: (UnsafePointer<polygraft_predict_options>) throws -> Result
    ) throws -> Result {
        try Arguments.with { arguments in
            var settings = try GenerateOptions.settings()
            settings.top_k = try UInt32(checked: topK, "topK")
            settings.cancel = cancel?.handle.pointer
            try generate?.fill(&settings, arguments)
            return try withExtendedLifetime(cancel) { try body(&settings) }
        }
    }
}

/// Makes one call that writes a prediction.
func withPrediction(_ body: (Out, Out) -> polygraft_status) throws -> Prediction {
    try withObject(body, free: { polygraft_prediction_free($0) }) { Prediction($0) }
}

/// Makes one call that writes several predictions.
private func withPredictions(_ body: (Out, Out) -> polygraft_status) throws -> [Prediction] {
    try withObject(body, free: { polygraft_predictions_free($0) }) { batch in
        (0..<polygraft_predictions_count(batch)).map {
            Prediction(polygraft_predictions_get(batch, $0))
        }
    }
}

import CPolygraft

/// The options of a generation.
public struct GenerateOptions: Hashable, Codable, Sendable {
    /// The number of beams; 1 is greedy decoding.
    public var numBeams: Int
    /// The maximum number of new tokens, including the end token; 0 takes the limit of the bundle.
    public var maxNewTokens: Int
    /// The exponent of the length in the score of a finished hypothesis, which is its log
    /// probability / tokens ^ `lengthPenalty`. It has no effect with one beam.
    public var lengthPenalty: Double
    /// The minimum number of new tokens. Before it is reached, only a string of `stopStrings` ends
    /// a text.
    public var minNewTokens: Int
    /// No sequence of this many tokens occurs twice; 0 switches the rule off.
    public var noRepeatNgramSize: Int
    /// The penalty on tokens that occurred before: positive logits are divided by it and negative
    /// ones multiplied. Values above 1 make repetition less probable.
    public var repetitionPenalty: Double
    /// Strings that end a text. The text is cut before the first of them.
    public var stopStrings: [String] = []
    /// The id of the first token, which selects the language in some models; without it the bundle
    /// decides.
    public var forcedBosTokenID: Int?

    /// The defaults of the library.
    public init() throws {
        let settings = try GenerateOptions.settings()
        numBeams = Int(settings.num_beams)
        maxNewTokens = Int(settings.max_new_tokens)
        lengthPenalty = settings.length_penalty
        minNewTokens = Int(settings.min_new_tokens)
        noRepeatNgramSize = Int(settings.no_repeat_ngram_size)
        repetitionPenalty = settings.repetition_penalty
        forcedBosTokenID =
            settings.forced_bos_token_id < 0 ? nil : Int(settings.forced_bos_token_id)
    }

    static func settings() throws -> polygraft_predict_options {
        try defaults(polygraft_predict_options()) { polygraft_predict_options_init($0, $1, $2) }
    }

    /// Writes the options into the library's.
    func fill(_ settings: inout polygraft_predict_options, _ arguments: Arguments) throws {
        settings.num_beams = try UInt32(checked: numBeams, "numBeams")
        settings.max_new_tokens = try UInt32(checked: maxNewTokens, "maxNewTokens")
        settings.length_penalty = lengthPenalty
        settings.stop_strings = try arguments.array("stopStrings", stopStrings)
        settings.stop_strings_count = UInt32(stopStrings.count)
        settings.forced_bos_token_id = forcedBosTokenID.map(Int64.init) ?? -1
        settings.min_new_tokens = try UInt32(checked: minNewTokens, "minNewTokens")
        settings.no_repeat_ngram_size = try UInt32(checked: noRepeatNgramSize, "noRepeatNgramSize")
        settings.repetition_penalty = repetitionPenalty
    }
}

/// A part of a text that is being generated.
public enum Generation: Hashable, Codable, Sendable {
    /// New characters of the text, always whole ones.
    case chunk(String)
    /// The whole text; the last element.
    case finished(Prediction)
}

/// The functions that return a text while it is generated. They throw as `predict` does, and
/// `taskKind` for a task that does not generate texts.
extension Model {
    /// Generates a text for one text and passes it to `onChunk` while it grows, in chunks of whole
    /// characters. With several beams the whole text comes at the end.
    ///
    /// - Parameters:
    ///   - cancel: Ends the text where it is, which is not a failure.
    ///   - onChunk: Runs on this thread, and returns false to end the text. An error that it throws
    ///     ends the text, and the call throws it.
    public func generate(
        task: String, language: String, text: String, options: GenerateOptions? = nil,
        cancel: Cancel? = nil, onChunk: (String) throws -> Bool
    ) throws -> Prediction {
        let (task, tag) = try (task.checked("task"), language.checked("language"))
        let text = try text.checked("text")
        return try listening(onChunk) { user in
            try withOptions(0, options, cancel) { options in
                try withPrediction {
                    polygraft_model_generate(
                        handle.pointer, task, tag, text, options, $0, $1,
                        { Listener<String>.answer(String($0), $1) }, user)
                }
            }
        }
    }

    /// Generates a text on a thread of its own. The stream has its chunks and, as the last element,
    /// the whole prediction. When the task that reads it is cancelled, or the stream is released,
    /// the text ends where it is.
    public func generation(
        task: String, language: String, text: String, options: GenerateOptions? = nil
    ) -> AsyncThrowingStream<Generation, any Error> {
        AsyncThrowingStream { continuation in
            let token: Cancel
            do {
                token = try Cancel()
            } catch {
                return continuation.finish(throwing: error)
            }
            continuation.onTermination = { if case .cancelled = $0 { token.trigger() } }
            Task {
                do {
                    let prediction = try await onThread {
                        try self.generate(
                            task: task, language: language, text: text, options: options,
                            cancel: token
                        ) { chunk in
                            continuation.yield(.chunk(chunk))
                            return true
                        }
                    }
                    continuation.yield(.finished(prediction))
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
        }
    }
}

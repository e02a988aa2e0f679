import CPolygraft

/// The kind of a task.
public enum TaskKind: UInt32, Sendable {
    /// Classification predicts exactly one of several labels.
    case classification = 1
    /// Multi-label classification predicts any number of labels.
    case multiLabel = 2
    /// Regression predicts a number.
    case regression = 3
    /// Token classification predicts a tag for each word.
    case tokenClassification = 4
    /// Joint intent and slots predicts a label of the whole input and a tag for each word.
    case intentAndSlots = 5
    /// Sequence to sequence generates a text.
    case sequenceToSequence = 6
}

/// The options of a generation.
public struct GenerateOptions: Sendable, Equatable {
    /// The number of beams; 1 is greedy decoding.
    public var numBeams: UInt32 = 1
    /// The maximum number of new tokens, including the end token; 0 takes the limit of the bundle.
    public var maxNewTokens: UInt32 = 0
    /// The exponent of the length in the score of a finished hypothesis, which is its log
    /// probability / tokens ^ `lengthPenalty`.
    public var lengthPenalty: Double = 1
    /// The minimum number of new tokens. Before it is reached, only a string of `stopStrings` ends
    /// a text.
    public var minNewTokens: UInt32 = 0
    /// No sequence of this many tokens occurs twice; 0 switches the rule off.
    public var noRepeatNgramSize: UInt32 = 0
    /// The penalty on tokens that occurred before: positive logits are divided by it and negative
    /// ones multiplied. Values above 1 make repetition less probable.
    public var repetitionPenalty: Double = 1
    /// Strings that end a text. The text is cut before the first of them.
    public var stopStrings: [String] = []
    /// The id of the first token, which selects the language in some models; without it the bundle
    /// decides.
    public var forcedBosTokenID: UInt32?

    public init() {}
}

/// The output of a task for one input. Properties that its kind does not have are empty.
public struct Prediction: Sendable, Equatable {
    /// One label with its probability.
    public struct Label: Sendable, Equatable {
        public let name: String
        public let probability: Float
    }

    /// The position of a word or span in the input text. The text of words is the words joined by
    /// single spaces.
    public struct Place: Sendable, Equatable {
        /// The range in `text.utf8`.
        public let bytes: Range<Int>
        /// The range in `text.unicodeScalars`.
        public let scalars: Range<Int>
    }

    /// A word and its tag.
    public struct Word: Sendable, Equatable {
        public let place: Place
        /// The tag; empty for a word beyond what the model reads.
        public let tag: String
        public let probability: Float
    }

    /// Consecutive words that the tags mark as one thing.
    public struct Span: Sendable, Equatable {
        public let place: Place
        /// The kind of the span: its tags without `B-` and `I-`.
        public let kind: String
        /// The positions of its words.
        public let words: ClosedRange<Int>
        /// The probability of the least certain word.
        public let probability: Float
    }

    /// A generated text.
    public struct Generated: Sendable, Equatable {
        /// The reason why a text ended.
        public enum FinishReason: UInt32, Sendable {
            /// The model generated an end token.
            case end = 1
            /// The text reached the maximum number of tokens.
            case length = 2
            /// The text reached a stop string, or the callback ended it.
            case stopped = 3
            /// The cancel token was triggered; the prediction has the text as far as it was
            /// generated.
            case cancelled = 4
        }

        /// The text, without its end token or stop string.
        public let text: String
        /// The sum of the log probabilities of the text's tokens.
        public let logProbability: Float
        /// The number of the text's tokens, including the end token.
        public let tokensCount: Int
        /// Absent for a reason that is newer than this package.
        public let finishReason: FinishReason?
    }

    /// Absent for a kind that is newer than this package.
    public let kind: TaskKind?
    /// The labels, sorted by probability, highest first. In classification the first label applies,
    /// and in `multiLabel` all labels with a probability of at least 0.5 apply.
    public let labels: [Label]
    public let number: Double?
    /// All words of the input with their tags, in order.
    public let words: [Word]
    /// The spans that the tags mark, if they follow the scheme BIO.
    public let spans: [Span]
    public let generated: Generated?
    /// The language whose version was used: the requested one, or the one it fell back to.
    public let language: String
    /// The number of the version that was used.
    public let version: UInt32
    /// True if the input was longer than the model reads and was therefore truncated.
    public let isTruncated: Bool

    init(_ prediction: OpaquePointer?) {
        let number = polygraft_prediction_number(prediction)
        kind = TaskKind(rawValue: polygraft_prediction_kind(prediction))
        labels = (0..<polygraft_prediction_labels_count(prediction)).map { index in
            Label(
                name: String(polygraft_prediction_label(prediction, index)),
                probability: polygraft_prediction_probability(prediction, index)
            )
        }
        self.number = number.isNaN ? nil : number
        words = (0..<polygraft_prediction_words_count(prediction)).map {
            Word(polygraft_prediction_word(prediction, $0))
        }
        spans = (0..<polygraft_prediction_spans_count(prediction)).map {
            Span(polygraft_prediction_span(prediction, $0))
        }
        generated = Generated(prediction)
        language = String(polygraft_prediction_language(prediction))
        version = polygraft_prediction_version(prediction)
        isTruncated = polygraft_prediction_truncated(prediction) != 0
    }
}

extension Prediction.Word {
    init(_ word: polygraft_word) {
        place = Prediction.Place(
            bytes: word.byte_start..<word.byte_end, scalars: word.char_start..<word.char_end)
        tag = String(word.tag)
        probability = word.probability
    }
}

extension Prediction.Span {
    init(_ span: polygraft_span) {
        place = Prediction.Place(
            bytes: span.byte_start..<span.byte_end, scalars: span.char_start..<span.char_end)
        kind = String(span.kind)
        words = span.word_first...span.word_last
        probability = span.probability
    }
}

extension Prediction.Generated {
    /// Nil for a prediction that is not a generated text.
    init?(_ prediction: OpaquePointer?) {
        let reason = polygraft_prediction_finish_reason(prediction)
        if reason == UInt32(POLYGRAFT_FINISH_NONE) {
            return nil
        }
        text = String(polygraft_prediction_text(prediction))
        logProbability = polygraft_prediction_log_probability(prediction)
        tokensCount = polygraft_prediction_tokens_count(prediction)
        finishReason = FinishReason(rawValue: reason)
    }
}

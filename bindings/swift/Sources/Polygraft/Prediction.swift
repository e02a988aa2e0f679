import CPolygraft

/// What a task predicts.
public enum TaskKind: UInt32, Sendable {
    /// One label out of several.
    case classification = 1
    /// Any number of labels.
    case multiLabel = 2
    /// A number.
    case regression = 3
    /// A tag for each word.
    case tokenClassification = 4
    /// A label of the whole and a tag for each word.
    case intentAndSlots = 5
    /// A text.
    case sequenceToSequence = 6
}

/// How texts are generated.
public struct GenerateOptions: Sendable, Equatable {
    /// How many hypotheses are followed; 1 takes the most probable token at each step.
    public var beams: UInt32 = 1
    /// The most new tokens, the end included; 0 takes as many as the bundle allows.
    public var tokensMax: UInt32 = 0
    /// Finished hypotheses compare by log probability / tokens to this power.
    public var lengthPenalty: Double = 1
    /// The fewest new tokens; until then only a text of `stops` ends one.
    public var tokensMin: UInt32 = 0
    /// No sequence of this many tokens comes twice; 0 allows it.
    public var noRepeat: UInt32 = 0
    /// The logits of tokens that were there are divided by it, negative ones multiplied: above 1
    /// makes repetition less probable.
    public var repetitionPenalty: Double = 1
    /// Texts that end a generation, and are cut off with what follows.
    public var stops: [String] = []
    /// The first token, which is a language in some models; absent for what the bundle says.
    public var forcedBegin: UInt32?

    public init() {}
}

/// The answer to one input. What its kind of answer does not have is empty.
public struct Prediction: Sendable, Equatable {
    /// One possible answer.
    public struct Label: Sendable, Equatable {
        public let name: String
        public let probability: Float
    }

    /// Where something stands in the text that was asked about; words count as joined by single
    /// spaces.
    public struct Place: Sendable, Equatable {
        /// In `text.utf8`.
        public let bytes: Range<Int>
        /// In `text.unicodeScalars`.
        public let scalars: Range<Int>
    }

    /// A word and its tag.
    public struct Word: Sendable, Equatable {
        public let place: Place
        /// Empty for a word behind what the model reads.
        public let tag: String
        public let probability: Float
    }

    /// Neighbouring words that the tags mark as one thing.
    public struct Span: Sendable, Equatable {
        public let place: Place
        /// The tags without `B-` and `I-`.
        public let kind: String
        /// The positions of its words.
        public let words: ClosedRange<Int>
        /// That of its least certain word.
        public let probability: Float
    }

    /// A text that a model wrote.
    public struct Generated: Sendable, Equatable {
        /// Why a text ended.
        public enum Finish: UInt32, Sendable {
            /// The model gave a token that ends a text.
            case end = 1
            /// The limit of tokens was reached.
            case length = 2
            /// One of the texts to stop at was there, or the callback ended it.
            case stopped = 3
            /// The switch was thrown; the text is what there was.
            case cancelled = 4
        }

        /// The text, without what ended it.
        public let text: String
        /// The sum of the logarithms of the probabilities of its tokens.
        public let logProbability: Float
        /// How many tokens it is, the end included.
        public let tokensCount: Int
        /// Absent for a reason that is newer than this package.
        public let finish: Finish?
    }

    /// Absent for a kind that is newer than this package.
    public let kind: TaskKind?
    /// Sorted by probability, highest first. The first one applies; of `multiLabel`, all with
    /// a probability of at least 0.5.
    public let labels: [Label]
    public let number: Double?
    /// All words of the input, in order.
    public let words: [Word]
    /// What the tags mark, where they are of the scheme BIO.
    public let spans: [Span]
    public let generated: Generated?
    /// The language whose version answered: the one asked for or what it fell back to.
    public let language: String
    /// The number of that version.
    public let version: UInt32
    /// The input was longer than the model reads and was cut.
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
    /// Nothing for a prediction that is no text.
    init?(_ prediction: OpaquePointer?) {
        let reason = polygraft_prediction_finish(prediction)
        if reason == UInt32(POLYGRAFT_FINISH_NONE) {
            return nil
        }
        text = String(polygraft_prediction_text(prediction))
        logProbability = polygraft_prediction_log_probability(prediction)
        tokensCount = polygraft_prediction_tokens_count(prediction)
        finish = Finish(rawValue: reason)
    }
}

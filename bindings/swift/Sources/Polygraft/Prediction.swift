import CPolygraft

/// The kind of a task.
public struct TaskKind: LibraryConstant {
    /// The number of the constant in the header.
    public let rawValue: UInt32

    /// Makes the value of a number, also of one that this package does not know.
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// Classification predicts exactly one of several labels.
    public static let classification = Self(POLYGRAFT_TASK_CLASSIFICATION)
    /// Multi-label classification predicts any number of labels.
    public static let multiLabel = Self(POLYGRAFT_TASK_MULTI_LABEL)
    /// Regression predicts a number.
    public static let regression = Self(POLYGRAFT_TASK_REGRESSION)
    /// Token classification predicts a tag for each word.
    public static let tokenClassification = Self(POLYGRAFT_TASK_TOKEN_CLASSIFICATION)
    /// Joint intent and slots predicts a label of the whole input and a tag for each word.
    public static let intentAndSlots = Self(POLYGRAFT_TASK_INTENT_AND_SLOTS)
    /// Sequence to sequence generates a text.
    public static let sequenceToSequence = Self(POLYGRAFT_TASK_SEQUENCE_TO_SEQUENCE)

    /// The values that this package knows, with their names.
    public static let names: [Self: String] = [
        classification: "classification", multiLabel: "multi-label classification",
        regression: "regression", tokenClassification: "token classification",
        intentAndSlots: "intent and slots", sequenceToSequence: "sequence to sequence",
    ]
}

/// The output of a task for one input. Properties that its kind does not have are empty.
public struct Prediction: Hashable, Codable, Sendable {
    /// The kind of the task.
    public let kind: TaskKind
    /// The labels, sorted by probability, highest first. In classification the first label applies,
    /// and in `multiLabel` all labels with a probability of at least 0.5 apply.
    public let labels: [Label]
    /// The number of a regression.
    public let number: Double?
    /// All words of the input with their tags, in order.
    public let words: [Word]
    /// The spans that the tags mark, if they follow the scheme BIO.
    public let spans: [Span]
    /// The text of a task of the kind `sequenceToSequence`.
    public let generated: Generated?
    /// The language whose version was used: the requested one, or the one it fell back to.
    public let language: String
    /// The number of the version that was used.
    public let version: Int
    /// True if the input was longer than the model reads and was therefore truncated.
    public let isTruncated: Bool

    init(_ prediction: OpaquePointer?) {
        kind = TaskKind(rawValue: polygraft_prediction_kind(prediction))
        labels = (0..<polygraft_prediction_labels_count(prediction)).map { index in
            Label(
                name: String(polygraft_prediction_label(prediction, index)),
                probability: polygraft_prediction_probability(prediction, index))
        }
        number = measured(polygraft_prediction_number(prediction))
        words = (0..<polygraft_prediction_words_count(prediction)).map {
            Word(polygraft_prediction_word(prediction, $0))
        }
        spans = (0..<polygraft_prediction_spans_count(prediction)).map {
            Span(polygraft_prediction_span(prediction, $0))
        }
        generated = Generated(prediction)
        language = String(polygraft_prediction_language(prediction))
        version = Int(polygraft_prediction_version(prediction))
        isTruncated = polygraft_prediction_truncated(prediction) != 0
    }
}

extension Prediction {
    /// One label with its probability.
    public struct Label: Hashable, Codable, Sendable {
        /// The label.
        public let name: String
        /// The probability, from 0 to 1.
        public let probability: Float
    }

    /// The position of a word or span in the input text. The text of words is the words joined by
    /// single spaces.
    public struct Place: Hashable, Codable, Sendable {
        /// The range in `text.utf8`.
        public let bytes: Range<Int>
        /// The range in `text.unicodeScalars`.
        public let scalars: Range<Int>

        /// The part of the input text; nil if it is not the text of the prediction.
        public func part(of text: String) -> Substring? {
            let utf8 = text.utf8
            guard
                let start = utf8.index(
                    utf8.startIndex, offsetBy: bytes.lowerBound, limitedBy: utf8.endIndex),
                let end = utf8.index(start, offsetBy: bytes.count, limitedBy: utf8.endIndex),
                start.samePosition(in: text.unicodeScalars) != nil,
                end.samePosition(in: text.unicodeScalars) != nil
            else { return nil }
            return text[start..<end]
        }
    }

    /// A word and its tag.
    public struct Word: Hashable, Codable, Sendable {
        /// Where the word is.
        public let place: Place
        /// The tag; empty for a word beyond what the model reads.
        public let tag: String
        /// The probability of the tag, from 0 to 1; 0 for a word beyond what the model reads.
        public let probability: Float

        init(_ word: polygraft_word) {
            place = Place(
                bytes: word.byte_start..<word.byte_end, scalars: word.char_start..<word.char_end)
            tag = String(word.tag)
            probability = word.probability
        }
    }

    /// Consecutive words that the tags mark as one thing.
    public struct Span: Hashable, Codable, Sendable {
        /// Where the span is.
        public let place: Place
        /// The kind of the span: its tags without `B-` and `I-`.
        public let kind: String
        /// The positions of its words.
        public let words: ClosedRange<Int>
        /// The probability of the least certain word, from 0 to 1.
        public let probability: Float

        init(_ span: polygraft_span) {
            place = Place(
                bytes: span.byte_start..<span.byte_end, scalars: span.char_start..<span.char_end)
            kind = String(span.kind)
            words = span.word_first...span.word_last
            probability = span.probability
        }
    }

    /// A generated text.
    public struct Generated: Hashable, Codable, Sendable {
        /// The reason why a text ended.
        public struct FinishReason: LibraryConstant {
            /// The number of the constant in the header.
            public let rawValue: UInt32

            /// Makes the value of a number, also of one that this package does not know.
            public init(rawValue: UInt32) {
                self.rawValue = rawValue
            }

            /// The model generated an end token.
            public static let end = Self(POLYGRAFT_FINISH_END)
            /// The text reached the maximum number of tokens.
            public static let length = Self(POLYGRAFT_FINISH_LENGTH)
            /// The text reached a stop string, or the callback ended it.
            public static let stopped = Self(POLYGRAFT_FINISH_STOPPED)
            /// The cancel token was triggered; the prediction has the text as far as it was
            /// generated.
            public static let cancelled = Self(POLYGRAFT_FINISH_CANCELLED)

            /// The values that this package knows, with their names.
            public static let names: [Self: String] = [
                end: "end", length: "length", stopped: "stopped", cancelled: "cancelled",
            ]
        }

        /// The text, without its end token or stop string.
        public let text: String
        /// The sum of the log probabilities of the text's tokens.
        public let logProbability: Float
        /// The number of the text's tokens, including the end token.
        public let tokensCount: Int
        /// The reason why the text ended.
        public let finishReason: FinishReason

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
}

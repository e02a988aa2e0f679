import CPolygraft

/// A span of a text with its kind.
public struct TextSpan: Hashable, Sendable {
    /// The kind of the span.
    public let kind: String
    /// The range of the span in bytes of the text's UTF-8.
    public let bytes: Range<Int>

    public init(kind: String, bytes: Range<Int>) {
        self.kind = kind
        self.bytes = bytes
    }

    /// Makes the span of `text` at `range`.
    public init(kind: String, range: Range<String.Index>, of text: String) {
        let place = { text.utf8.distance(from: text.utf8.startIndex, to: $0) }
        self.init(kind: kind, bytes: place(range.lowerBound)..<place(range.upperBound))
    }
}

/// The functions that add examples. All targets of an update are of one kind. If the update has run
/// already, adding an example discards the outcome of that run.
extension Update {
    /// Adds an example of a text and one label.
    public func add(language: String, text: String, label: String) throws {
        try add(language: language, input: .text(text), label: label)
    }

    /// Adds an example for classification: a text or a pair of texts, and one label.
    public func add(language: String, input: Input, label: String) throws {
        let label = try label.checked("label")
        try add(language, input) { polygraft_update_add_label(handle, $0, $1, label, $2) }
    }

    /// Adds an example for multi-label classification: a text or a pair of texts, and all labels
    /// that apply to it. There may be none.
    public func add(language: String, input: Input, labels: [String]) throws {
        try withTexts(labels.map { try $0.checked("labels") }) { pointers in
            try add(language, input) {
                polygraft_update_add_labels(handle, $0, $1, pointers, labels.count, $2)
            }
        }
    }

    /// Adds an example for regression: a text or a pair of texts, and a finite number.
    public func add(language: String, input: Input, number: Double) throws {
        try add(language, input) { polygraft_update_add_number(handle, $0, $1, number, $2) }
    }

    /// Adds an example for token classification: words and one tag for each of them. Tags of the
    /// scheme BIO (`B-place`, `I-place`, `O`) mark spans and must be valid; other tags may stand in
    /// any order.
    public func add(language: String, words: [String], tags: [String]) throws {
        try withTexts(tags.map { try $0.checked("tags") }) { pointers in
            try add(language, .words(words)) {
                polygraft_update_add_tags(handle, $0, $1, pointers, tags.count, $2)
            }
        }
    }

    /// Adds an example for joint intent and slots: words, a label of the whole input, and one tag
    /// for each word.
    public func add(language: String, words: [String], label: String, tags: [String]) throws {
        let label = try label.checked("label")
        try withTexts(tags.map { try $0.checked("tags") }) { pointers in
            try add(language, .words(words)) {
                polygraft_update_add_label_and_tags(
                    handle, $0, $1, label, pointers, tags.count, $2)
            }
        }
    }

    /// Adds an example of a raw text and its spans, as a prediction returns them: for token
    /// classification or, with a label, for joint intent and slots. A span that begins or ends
    /// within a word takes the whole word.
    public func add(
        language: String, text: String, label: String? = nil, spans: [TextSpan]
    ) throws {
        let language = try language.checked("language")
        let text = try text.checked("text")
        let label = try label?.checked("label")
        try withTexts(spans.map { try $0.kind.checked("kind") }) { kinds in
            let parts = spans.enumerated().map { index, span in
                polygraft_text_span(
                    kind: kinds?[index],
                    byte_start: span.bytes.lowerBound, byte_end: span.bytes.upperBound)
            }
            try parts.withUnsafeBufferPointer { parts in
                try call {
                    polygraft_update_add_spans(
                        handle, language, text, label, parts.baseAddress, parts.count, $0)
                }
            }
        }
    }

    /// Adds an example of a text and the text to generate for it. The bundle must have a decoder.
    public func add(language: String, text: String, target: String) throws {
        let target = try target.checked("target")
        try add(language, .text(text)) { polygraft_update_add_text(handle, $0, $1, target, $2) }
    }

    /// Lends the language and the input to the call that adds an example.
    private func add(
        _ language: String, _ input: Input,
        _ body: (
            UnsafePointer<CChar>, OpaquePointer?, UnsafeMutablePointer<OpaquePointer?>
        ) -> polygraft_status
    ) throws {
        let language = try language.checked("language")
        try withInputs([input]) { inputs in
            try language.withCString { tag in
                try call { body(tag, inputs[0], $0) }
            }
        }
    }
}

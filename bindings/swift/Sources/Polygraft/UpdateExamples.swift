import CPolygraft

/// A span of a text with its kind.
public struct TextSpan: Hashable, Codable, Sendable {
    /// The kind of the span.
    public var kind: String
    /// The range of the span in bytes of the text's UTF-8.
    public var bytes: Range<Int>

    /// Makes a span of a range of bytes.
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
///
/// They throw `PolygraftError`: `taskKind` for a target of another kind than before,
/// `taskEmptyText`, `taskTooLong`, `language…`, `argumentInvalid`, and `updateState` while a run is
/// under way.
extension Update {
    /// Adds an example of a text and one label.
    public func add(language: String, text: String, label: String) throws {
        let (language, text) = try (language.checked("language"), text.checked("text"))
        let label = try label.checked("label")
        try call { polygraft_update_add(handle.pointer, language, text, label, $0) }
    }

    /// Adds an example for classification: a text or a pair of texts, and one label.
    public func add(language: String, input: Input, label: String) throws {
        let label = try label.checked("label")
        try add(language, input) { tag, input, _, failure in
            polygraft_update_add_label(handle.pointer, tag, input, label, failure)
        }
    }

    /// Adds an example for multi-label classification: a text or a pair of texts, and all labels
    /// that apply to it. There may be none.
    public func add(language: String, input: Input, labels: [String]) throws {
        try add(language, input, labels) { tag, input, labels, failure in
            polygraft_update_add_labels(
                handle.pointer, tag, input, labels.pointer, labels.count, failure)
        }
    }

    /// Adds an example for regression: a text or a pair of texts, and a finite number.
    public func add(language: String, input: Input, number: Double) throws {
        try add(language, input) { tag, input, _, failure in
            polygraft_update_add_number(handle.pointer, tag, input, number, failure)
        }
    }

    /// Adds an example for token classification: words and one tag for each of them. Tags of the
    /// scheme BIO (`B-place`, `I-place`, `O`) mark spans and must be valid; other tags may stand in
    /// any order.
    public func add(language: String, words: [String], tags: [String]) throws {
        try add(language, .words(words), tags) { tag, input, tags, failure in
            polygraft_update_add_tags(handle.pointer, tag, input, tags.pointer, tags.count, failure)
        }
    }

    /// Adds an example for joint intent and slots: words, a label of the whole input, and one tag
    /// for each word.
    public func add(language: String, words: [String], label: String, tags: [String]) throws {
        let label = try label.checked("label")
        try add(language, .words(words), tags) { tag, input, tags, failure in
            polygraft_update_add_label_and_tags(
                handle.pointer, tag, input, label, tags.pointer, tags.count, failure)
        }
    }

    /// Adds an example of a raw text and its spans, as a prediction returns them: for token
    /// classification or, with a label, for joint intent and slots. A span that begins or ends
    /// within a word takes the whole word.
    ///
    /// - Throws: `argumentInvalid` for a span that is empty, outside the text or within a
    ///   character, and for two spans that share a word.
    public func add(
        language: String, text: String, label: String? = nil, spans: [TextSpan]
    ) throws {
        let (language, text) = try (language.checked("language"), text.checked("text"))
        let label = try label?.checked("label")
        try Arguments.with { arguments in
            let parts = try spans.map { span in
                polygraft_text_span(
                    kind: try arguments.text("kind", span.kind),
                    byte_start: span.bytes.lowerBound, byte_end: span.bytes.upperBound)
            }
            try call {
                polygraft_update_add_spans(
                    handle.pointer, language, text, label, parts, parts.count, $0)
            }
        }
    }

    /// Adds an example of a text and the text to generate for it. The bundle must have a decoder.
    public func add(language: String, text: String, target: String) throws {
        let target = try target.checked("target")
        try add(language, .text(text)) { tag, input, _, failure in
            polygraft_update_add_text(handle.pointer, tag, input, target, failure)
        }
    }

    /// Adds all examples of a list. When one is refused, the ones before it have been added.
    public func add(_ examples: Examples) throws {
        try withExtendedLifetime(examples) {
            try call {
                polygraft_update_add_examples(handle.pointer, examples.handle.pointer, $0)
            }
        }
    }

    /// Several names as C reads them.
    private typealias Names = (pointer: UnsafePointer<UnsafePointer<CChar>?>?, count: Int)

    /// Lends the language, the input and the names of an example to the call that adds it.
    private func add(
        _ language: String, _ input: Input, _ names: [String] = [],
        _ body: (String, OpaquePointer?, Names, Out) -> polygraft_status
    ) throws {
        let language = try language.checked("language")
        try Arguments.with { arguments in
            let input = try arguments.input(input)
            let array = try arguments.array("labels or tags", names)
            try call { body(language, input, (array, names.count), $0) }
        }
    }
}

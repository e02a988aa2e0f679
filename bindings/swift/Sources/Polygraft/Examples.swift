import CPolygraft

/// A text with its language and label.
public struct LabelledExample: Hashable, Codable, Sendable {
    /// A BCP 47 tag.
    public var language: String
    /// The text.
    public var text: String
    /// The label.
    public var label: String

    /// Makes an example.
    public init(language: String, text: String, label: String) {
        self.language = language
        self.text = text
        self.label = label
    }
}

/// Labelled examples of one kind of task, in one or several languages. The list never changes, and
/// may be used from any thread.
public final class Examples: Sendable {
    let handle: Handle

    /// Reads examples from a file in JSON Lines, for example
    /// `{"lang": "de", "text": "Licht an", "label": "on"}`.
    ///
    /// - Throws: `examplesMalformed`, whose message names file, line and field, `language…`,
    ///   `task…` and `io…`.
    public init(path: String) throws {
        let path = try path.checked("path")
        handle = try Handle { polygraft_examples_read(path, $0, $1) }
    }

    /// Reads examples from a text in JSON Lines.
    ///
    /// - Throws: `examplesMalformed`, whose message names line and field, `language…` and `task…`.
    public init(jsonLines: String) throws {
        let jsonLines = try jsonLines.checked("jsonLines")
        handle = try Handle { polygraft_examples_parse(jsonLines, $0, $1) }
    }

    /// Makes examples of texts and labels.
    public init(_ examples: [LabelledExample]) throws {
        handle = try Arguments.with { arguments in
            let languages = try arguments.array("language", examples.map(\.language))
            let texts = try arguments.array("text", examples.map(\.text))
            let labels = try arguments.array("label", examples.map(\.label))
            return try Handle {
                polygraft_examples_labelled(languages, texts, labels, examples.count, $0, $1)
            }
        }
    }

    /// The number of examples.
    public var count: Int { polygraft_examples_count(handle.pointer) }

    deinit {
        var pointer = handle.pointer
        polygraft_examples_free(&pointer)
    }
}

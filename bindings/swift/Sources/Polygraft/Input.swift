/// An input of a model.
public enum Input: Hashable, Codable, Sendable {
    /// A text of at most 65536 bytes.
    case text(String)
    /// Two texts that the model reads together and in this order, for example a premise and a
    /// hypothesis, or a sentence and its paraphrase.
    case pair(String, String)
    /// A text that the caller has already split into words, at most 8192.
    case words([String])
}

/// An input and the language that it is in.
public struct LanguageInput: Hashable, Codable, Sendable {
    /// A BCP 47 tag.
    public var language: String
    /// The input.
    public var input: Input

    /// Makes an input in a language.
    public init(language: String, input: Input) {
        self.language = language
        self.input = input
    }
}

import CPolygraft

/// An input of a model.
public enum Input: Sendable, Equatable {
    case text(String)
    /// Two texts that the model reads together and in this order, for example a premise and a
    /// hypothesis, or a sentence and its paraphrase.
    case pair(String, String)
    /// A text that the caller has already split into words.
    case words([String])

    /// Makes the library's copy, which the caller frees.
    func open() throws -> OpaquePointer? {
        var input: OpaquePointer?
        switch self {
        case .text(let text):
            let text = try text.checked("text")
            try call { polygraft_input_text(text, &input, $0) }
        case .pair(let first, let second):
            let (first, second) = try (first.checked("first"), second.checked("second"))
            try call { polygraft_input_pair(first, second, &input, $0) }
        case .words(let words):
            try withTexts(words.map { try $0.checked("words") }) { pointers in
                try call { polygraft_input_words(pointers, words.count, &input, $0) }
            }
        }
        return input
    }
}

/// Lends the library's copies of inputs for the length of a call.
func withInputs<Result>(
    _ inputs: [Input], _ body: ([OpaquePointer?]) throws -> Result
) throws -> Result {
    var handles: [OpaquePointer?] = []
    defer {
        for index in handles.indices {
            polygraft_input_free(&handles[index])
        }
    }
    for input in inputs {
        handles.append(try input.open())
    }
    return try body(handles)
}

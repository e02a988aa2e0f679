import CPolygraft

/// Copies of texts and inputs for one call, which C reads and `free` releases.
final class Arguments {
    private var texts: [UnsafeMutablePointer<CChar>] = []
    private var arrays: [UnsafeMutablePointer<UnsafePointer<CChar>?>] = []
    private var inputs: [OpaquePointer?] = []

    /// Lends arguments for the length of a call.
    static func with<Result>(_ body: (Arguments) throws -> Result) rethrows -> Result {
        let arguments = Arguments()
        defer { arguments.free() }
        return try body(arguments)
    }

    /// Copies a text; nil becomes NULL.
    func text(_ name: String, _ value: String?) throws -> UnsafePointer<CChar>? {
        guard let value = try value?.checked(name) else { return nil }
        let bytes = value.utf8CString
        let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
        for (index, byte) in bytes.enumerated() {
            copy[index] = byte
        }
        texts.append(copy)
        return UnsafePointer(copy)
    }

    /// Copies several texts; none become NULL.
    func array(_ name: String, _ values: [String]) throws -> UnsafePointer<UnsafePointer<CChar>?>? {
        if values.isEmpty { return nil }
        let array = UnsafeMutablePointer<UnsafePointer<CChar>?>.allocate(capacity: values.count)
        arrays.append(array)
        for (index, value) in values.enumerated() {
            array[index] = try text(name, value)
        }
        return UnsafePointer(array)
    }

    /// Makes the library's copy of an input.
    func input(_ input: Input) throws -> OpaquePointer? {
        let copy = try produced(of: input)
        inputs.append(copy)
        return copy
    }

    private func produced(of input: Input) throws -> OpaquePointer? {
        switch input {
        case .text(let text):
            let text = try text.checked("text")
            return try Polygraft.produced { polygraft_input_text(text, $0, $1) }
        case .pair(let first, let second):
            let (first, second) = try (first.checked("first"), second.checked("second"))
            return try Polygraft.produced { polygraft_input_pair(first, second, $0, $1) }
        case .words(let words):
            let array = try array("words", words)
            return try Polygraft.produced { polygraft_input_words(array, words.count, $0, $1) }
        }
    }

    private func free() {
        for index in inputs.indices {
            polygraft_input_free(&inputs[index])
        }
        for text in texts { text.deallocate() }
        for array in arrays { array.deallocate() }
    }
}

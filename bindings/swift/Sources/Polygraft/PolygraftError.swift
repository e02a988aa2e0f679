import CPolygraft

/// A failure of the library.
public struct PolygraftError: Error, CustomStringConvertible, Sendable {
    /// The status, one of `POLYGRAFT_ERROR_*`.
    public let code: Int32
    /// The stable name, for example `adapter.base_mismatch`.
    public let name: String
    /// The whole message.
    public let message: String
    /// The parts of the message. The first says what was being done, the last what went wrong.
    public let causes: [String]

    public var description: String { "\(message) [\(name)]" }

    /// A failure that is found before the library is called.
    init(argument message: String) {
        code = Int32(POLYGRAFT_ERROR_ARGUMENT_INVALID)
        name = String(polygraft_status_name(code))
        self.message = message
        causes = [message]
    }

    /// Copies an error object and frees it.
    init(taking failure: inout OpaquePointer?) {
        let error = failure
        code = polygraft_error_code(error)
        name = String(polygraft_error_name(error))
        message = String(polygraft_error_message(error))
        causes = (0..<polygraft_error_causes_count(error)).map {
            String(polygraft_error_cause(error, $0))
        }
        polygraft_error_free(&failure)
    }
}

extension String {
    /// Copies a view of the library.
    init(_ view: polygraft_string_view) {
        let bytes = UnsafeRawBufferPointer(start: view.ptr, count: view.len)
        self = String(decoding: bytes, as: UTF8.self)
    }

    /// Returns the text itself, or throws if C would see only a part of it.
    func checked(_ name: String) throws -> String {
        if utf8.contains(0) {
            throw PolygraftError(argument: "\(name) contains a NUL character")
        }
        return self
    }
}

/// Makes one call that takes `polygraft_error **`, and throws its failure.
func call(_ body: (UnsafeMutablePointer<OpaquePointer?>) -> polygraft_status) throws {
    var failure: OpaquePointer?
    let status = withUnsafeMutablePointer(to: &failure) { body($0) }
    if status != polygraft_status(POLYGRAFT_OK) {
        throw PolygraftError(taking: &failure)
    }
}

/// Lends an array of texts to C for the length of a call.
func withTexts<Result>(
    _ texts: [String],
    _ body: (UnsafePointer<UnsafePointer<CChar>?>?) throws -> Result
) rethrows -> Result {
    var bytes: [CChar] = []
    var offsets: [Int] = []
    for text in texts {
        offsets.append(bytes.count)
        bytes.append(contentsOf: text.utf8CString)
    }
    return try bytes.withUnsafeBufferPointer { buffer in
        let pointers = offsets.map { offset in buffer.baseAddress.map { $0 + offset } }
        return try pointers.withUnsafeBufferPointer { try body($0.baseAddress) }
    }
}

import CPolygraft
import Foundation

/// A failure of the library.
///
/// ```swift
/// do {
///     prediction = try model.predict(task: "intent", language: "de", text: "Licht an")
/// } catch PolygraftError.Code.storeNoVersion {
///     // The task has learnt nothing yet.
/// }
/// ```
public struct PolygraftError: LocalizedError, CustomStringConvertible, Hashable, Codable, Sendable {
    /// The kind of the failure.
    public let code: Code
    /// The stable name, for example `adapter.base_mismatch`.
    public let name: String
    /// The whole message.
    public let message: String
    /// The parts of the message. The first says what was being done, the last what went wrong.
    public let causes: [String]

    /// The message with the stable name.
    public var description: String { "\(message) [\(name)]" }
    /// The message with the stable name.
    public var errorDescription: String? { description }

    /// A failure that is found before the library is called.
    init(argument message: String) {
        code = .argumentInvalid
        name = code.name
        self.message = message
        causes = [message]
    }

    /// Copies an error object and frees it.
    init(taking failure: inout OpaquePointer?, status: polygraft_status) {
        let error = failure
        code = Code(rawValue: error == nil ? status : polygraft_error_code(error))
        name = error == nil ? code.name : String(polygraft_error_name(error))
        message = String(polygraft_error_message(error))
        causes = (0..<polygraft_error_causes_count(error)).map {
            String(polygraft_error_cause(error, $0))
        }
        polygraft_error_free(&failure)
    }
}

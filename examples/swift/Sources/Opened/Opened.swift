import Foundation
import Polygraft

/// What every program needs: ONNX Runtime, a store on disk, and a bundle with that store. All three
/// are closed when they are no longer referenced.
public struct Opened: Sendable {
    /// The opened ONNX Runtime.
    public let engine: Engine
    /// The store on disk.
    public let store: Store
    /// The bundle with that store.
    public let model: Model

    /// Opens a bundle with the store in a folder, which is created if it is absent.
    public init(bundle: String, store: String) throws {
        engine = try Engine()  // finds ONNX Runtime and says where it looked
        self.store = try Store(path: store)
        model = try Model(engine: engine, bundle: bundle, store: self.store)
    }
}

/// Writes to standard error.
public func say(_ text: String) {
    FileHandle.standardError.write(Data(text.utf8))
}

/// Runs a program that takes a number of arguments. An error becomes a line and the status 1.
public func program(
    _ usage: String, arguments counts: ClosedRange<Int>, _ body: ([String]) async throws -> Void
) async {
    let arguments = Array(CommandLine.arguments.dropFirst())
    guard counts.contains(arguments.count) else {
        say("usage: \(usage)\n")
        exit(2)
    }
    do {
        try await body(arguments)
    } catch {
        say("\(error)\n")
        exit(1)
    }
}

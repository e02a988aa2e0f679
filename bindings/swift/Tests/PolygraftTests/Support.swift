import Foundation
import XCTest

@testable import Polygraft

/// What the tests need beside the library: bundles and stores of a few hundred kilobytes, which
/// polygraft 0.1.0 wrote, with the answers that it gave.
enum Fixture {
    /// `POLYGRAFT_FIXTURES`, or the folder of the repository that this file is in.
    static let folder: URL = {
        if let named = ProcessInfo.processInfo.environment["POLYGRAFT_FIXTURES"] {
            return URL(fileURLWithPath: named)
        }
        var root = URL(fileURLWithPath: #filePath)
        for _ in 1...5 { root.deleteLastPathComponent() }
        return root.appendingPathComponent("tests/fixtures/written-by-0.1.0")
    }()

    /// One engine is enough for the process.
    static let engine = Result { try Engine() }

    static func path(_ name: String) -> String {
        folder.appendingPathComponent(name).path
    }

    /// The lines of a file of examples.
    static func lines(_ name: String) throws -> [Line] {
        try String(contentsOfFile: path("examples/\(name).jsonl"), encoding: .utf8)
            .split(separator: "\n").map { try JSONDecoder().decode(Line.self, from: Data($0.utf8)) }
    }
}

/// An example of a file, of any kind.
struct Line: Decodable {
    let lang: String
    var text: String?
    var words: [String]?
    var label: String?
    var labels: [String]?
    var number: Double?
    var tags: [String]?
    var target: String?

    var input: Input { .text(text!) }
}

/// A test with a folder of its own.
class PolygraftTestCase: XCTestCase {
    private(set) var folder = URL(fileURLWithPath: "/")

    override func setUpWithError() throws {
        folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("polygraft-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    override func tearDownWithError() throws {
        try FileManager.default.removeItem(at: folder)
    }

    /// A path where nothing is yet.
    func free(_ name: String) -> String {
        folder.appendingPathComponent(name).path
    }

    /// Opens a bundle with a copy of a store, or with an empty one.
    func open(_ bundle: String = "encoder", store: String? = nil) throws -> (Model, Store) {
        let path = free("store-\(UUID().uuidString)")
        if let store {
            try FileManager.default.copyItem(atPath: Fixture.path(store), toPath: path)
        }
        let opened = try Store(path: path)
        let engine = try Fixture.engine.get()
        return (try Model(engine: engine, bundle: Fixture.path(bundle), store: opened), opened)
    }

    /// The options of a short update without a gate.
    func short(steps: Int = 3, seed: UInt64 = 1) throws -> UpdateOptions {
        var options = try UpdateOptions()
        (options.seed, options.stepsMax) = (seed, steps)
        (options.gate, options.newLabels) = (false, true)
        return options
    }

    /// Begins an update of the task `light` with examples in German and English.
    func begin(_ model: Model, _ options: UpdateOptions? = nil) throws -> Update {
        let update = try Update(model: model, task: "light", options: options ?? short())
        try update.add(Examples(path: Fixture.path("examples/intent-1.jsonl")))
        return update
    }

    /// Teaches the task `light` in a few steps.
    func teach(_ model: Model, seed: UInt64 = 1) throws {
        let update = try begin(model, short(seed: seed))
        _ = try update.run()
        _ = try update.commit()
    }

    /// Expects a failure of the library, and returns it.
    @discardableResult
    func assertFails<Value>(
        _ code: PolygraftError.Code, file: StaticString = #filePath, line: UInt = #line,
        _ body: () throws -> Value
    ) -> PolygraftError? {
        do {
            let value = try body()
            XCTFail("expected \(code), found \(value)", file: file, line: line)
        } catch let failure as PolygraftError {
            XCTAssertEqual(failure.code, code, failure.message, file: file, line: line)
            return failure
        } catch {
            XCTFail("expected \(code), found \(error)", file: file, line: line)
        }
        return nil
    }
}

/// An error of the tests' own.
struct Mine: Error, Equatable {}

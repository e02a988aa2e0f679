import CPolygraft
import Foundation
import XCTest

@testable import Polygraft

final class LifetimeTests: PolygraftTestCase {
    func testClosingTwiceDoesNothing() throws {
        let engine = try Engine()
        let store = try Store(path: free("store"))
        let model = try Model(engine: engine, bundle: Fixture.path("encoder"), store: store)
        let update = try begin(model)
        for _ in 1...2 {
            update.close()
            model.close()
            store.close()
            engine.close()
        }
    }

    func testUseAfterClosingThrows() throws {
        let engine = try Engine()
        let (model, store) = try open(store: "encoder-store")
        let update = try begin(model)
        let examples = try Examples(path: Fixture.path("examples/intent-1.jsonl"))
        update.close()
        assertFails(.argumentInvalid) { try update.run() }
        assertFails(.argumentInvalid) { try update.commit() }
        assertFails(.argumentInvalid) { try update.judge() }
        assertFails(.argumentInvalid) { try update.add(examples) }
        assertFails(.argumentInvalid) { try update.add(language: "de", text: "w10", label: "on") }
        model.close()
        assertFails(.argumentInvalid) {
            try model.predict(task: "intent", language: "de", text: "w10")
        }
        assertFails(.argumentInvalid) { try Update(model: model, task: "intent") }
        assertFails(.argumentInvalid) { try model.embed(texts: ["w10"]) }
        assertFails(.argumentInvalid) { try model.evaluate(task: "intent", examples: examples) }
        store.close()
        assertFails(.argumentInvalid) { try store.versions() }
        assertFails(.argumentInvalid) { try store.statistics() }
        assertFails(.argumentInvalid) {
            try Model(engine: engine, bundle: Fixture.path("encoder"), store: store)
        }
        engine.close()
        XCTAssertTrue(engine.onnxRuntimeVersion.hasPrefix("1."))
    }

    func testUseAfterClosingThrowsInAsyncCode() async throws {
        let (model, _) = try open()
        let update = try begin(model)
        update.close()
        do {
            _ = try await update.run()
            XCTFail("a closed update runs")
        } catch PolygraftError.Code.argumentInvalid {
        }
    }

    func testModelsAndUpdatesOutliveWhatTheyWereMadeOf() throws {
        func make() throws -> Update {
            let (model, _) = try open()
            return try begin(model)
        }
        let update = try make()
        XCTAssertEqual(try update.run().task, "light")
        _ = try update.commit()
    }

    /// Releasing the last reference closes the handle: a call with it is refused.
    func testReleasingCloses() throws {
        var store: Store? = try Store(path: free("store"))
        let handle = try XCTUnwrap(store?.handle.pointer)
        try call { count(handle, $0) }
        store = nil
        assertFails(.argumentInvalid) { try call { count(handle, $0) } }

        var model: Model? = try open().0
        var update: Update? = try begin(XCTUnwrap(model))
        let (open, begun) = (model?.handle.pointer, update?.handle.pointer)
        update = nil
        assertFails(.argumentInvalid) { try call { polygraft_update_commit(begun, nil, $0) } }
        model = nil
        assertFails(.argumentInvalid) {
            try produced { polygraft_update_begin(open, "light", nil, $0, $1) }
        }
        XCTAssertNil(update)
        XCTAssertNil(model)

        var cancel: Cancel? = try Cancel()
        let token = cancel?.handle.pointer
        cancel = nil
        assertFails(.argumentInvalid) { try call { polygraft_cancel_trigger(token, $0) } }
        XCTAssertNil(cancel)
    }

    private func count(_ store: OpaquePointer, _ failure: Out) -> polygraft_status {
        var statistics: OpaquePointer?
        defer { polygraft_statistics_free(&statistics) }
        return polygraft_store_count(store, &statistics, failure)
    }

    /// What a callback holds is released with the call, also when it throws.
    func testCallbacksAreReleased() throws {
        final class Token {}
        let (model, _) = try open()
        let update = try begin(model)
        weak var released: Token?
        do {
            let token = Token()
            released = token
            _ = try? update.run { _ in try withExtendedLifetime(token) { throw Mine() } }
        }
        XCTAssertNil(released)
    }
}

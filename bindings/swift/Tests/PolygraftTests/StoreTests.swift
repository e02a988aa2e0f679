import Foundation
import Polygraft
import XCTest

final class StoreTests: PolygraftTestCase {
    func testAnEmptyStore() throws {
        let store = try Store(path: free("store"))
        XCTAssertEqual(try store.versions(), [])
        assertFails(.storeNoVersion) { try store.activate(task: "light", versions: ["de": 1]) }
        assertFails(.storeNoVersion) { try store.rollBack(task: "light", language: "de") }
        assertFails(.storeNoVersion) { try store.pin(task: "light", language: "de") }
        assertFails(.taskName) { try store.versions(task: "a/b") }
        XCTAssertEqual(try store.reports(task: "light"), [])
        XCTAssertEqual(try store.statistics().tasks, [])
        XCTAssertEqual(try store.verify(), [])
        try store.discardCheckpoint(task: "light")
    }

    func testVersionsRollBackAndPins() throws {
        let (model, store) = try open()
        try teach(model)
        try teach(model, seed: 2)
        let versions = try store.versions(task: "light")
        XCTAssertEqual(versions.map(\.number), [1, 2, 1, 2, 1, 2])
        XCTAssertEqual(versions.filter(\.isActive).map(\.number), [2, 2, 2])
        XCTAssertEqual(versions[1].parent, 1)
        XCTAssertNil(versions[0].parent)
        for version in versions {
            XCTAssertEqual(version.hash.count, 64)
            XCTAssertGreaterThan(version.sizeBytes, 0)
            XCTAssertLessThan(abs(version.created.timeIntervalSinceNow), 3600)
        }
        XCTAssertEqual(try store.rollBack(task: "light", language: "de"), 1)
        XCTAssertEqual(try model.predict(task: "light", language: "de", text: "w10").version, 1)
        XCTAssertNil(try store.rollBack(task: "light", language: "de"))
        try store.activate(task: "light", versions: ["de": 2, "en": 1])
        let active = try store.versions(task: "light").filter(\.isActive)
        XCTAssertEqual(active.map { "\($0.language) \($0.number)" }, ["de 2", "en 1", "mul 2"])
        assertFails(.storeNoVersion) { try store.activate(task: "light", versions: ["de": 9]) }

        XCTAssertEqual(try store.pin(task: "light", language: "de"), 2)
        XCTAssertTrue(try store.versions().contains { $0.isPinned && $0.number == 2 })
        assertFails(.storePinned) { try store.rollBack(task: "light", language: "de") }
        try store.unpin(task: "light", language: "de")
        XCTAssertEqual(try store.rollBack(task: "light", language: "en"), 2)

        let reports = try store.reports(task: "light")
        XCTAssertEqual(reports.count, 2)
        XCTAssertEqual(reports[0].languages.map(\.version), [1, 1, 1])
        XCTAssertTrue(try store.reportsPage(task: "light").contains("2 updates of the task"))
    }

    func testWhatServesALanguage() throws {
        let (model, store) = try open()
        try teach(model)
        let chain = try store.explain(task: "light", language: "de-AT")
        XCTAssertEqual(chain.map(\.kind).prefix(2), [.own, .shorterTag])
        XCTAssertEqual(chain.filter(\.serves).map(\.language), ["de"])
        let other = try store.explain(task: "light", language: "lb")
        let nearest = try XCTUnwrap(other.first { $0.kind == .nearest })
        XCTAssertEqual(nearest.language, "de")
        XCTAssertGreaterThan(try XCTUnwrap(nearest.distance), 0)
        XCTAssertEqual(other.last?.kind, .shared)
        XCTAssertNil(other.last?.distance)
    }

    func testStatisticsAndChecks() throws {
        let (model, store) = try open()
        try teach(model)
        let statistics = try store.statistics()
        let task = try XCTUnwrap(statistics.tasks.first)
        XCTAssertEqual(task.task, "light")
        XCTAssertEqual(task.versionsCount, 3)
        XCTAssertEqual(statistics.versionsCount, 3)
        XCTAssertEqual(task.reportsCount, 1)
        XCTAssertEqual(task.examplesCount, try Fixture.lines("intent-1").count)
        XCTAssertEqual(task.examples.map(\.language), ["de", "en"])
        let oldest = try XCTUnwrap(task.examples[0].oldest)
        XCTAssertLessThan(abs(oldest.timeIntervalSinceNow), 48 * 3600)

        let right = try Diagnosis(bundle: Fixture.path("encoder"))
        XCTAssertTrue(right.isAllRight, "\(right.checks)")
        let wrong = try Diagnosis(store: free("nothing"))
        XCTAssertFalse(wrong.isAllRight)
        XCTAssertTrue(
            wrong.checks.contains {
                $0.state == .wrong && $0.subject == "store" && $0.code == .notFound
            }, "\(wrong.checks)")
    }

    func testADamagedFileIsFound() throws {
        let path = free("damaged")
        try FileManager.default.copyItem(atPath: Fixture.path("encoder"), toPath: path)
        try Model.verifyBundle(at: path)
        let weights = URL(fileURLWithPath: path).appendingPathComponent("backbone.onnx.data")
        var bytes = try Data(contentsOf: weights)
        bytes[bytes.count / 2] ^= 1
        try FileManager.default.removeItem(at: weights)
        try bytes.write(to: weights)
        let failure = assertFails(.bundleMismatch) { try Model.verifyBundle(at: path) }
        XCTAssertTrue(failure?.message.contains("backbone.onnx.data") ?? false)

        let (model, store) = try open(store: "encoder-store")
        model.close()
        XCTAssertEqual(try store.verify(), [])
    }

    func testWiping() throws {
        let (model, store) = try open()
        try teach(model)
        let lines = try Fixture.lines("intent-1")
        let off = lines.filter { $0.lang == "de" && $0.label == "off" }.count
        let wiped = try store.wipe(task: "light", language: "de", label: "off")
        XCTAssertEqual(wiped.examples, ["de": off])
        XCTAssertFalse(wiped.learnt.isEmpty || wiped.isRetired)
        let old = Date(timeIntervalSince1970: 86400)
        XCTAssertEqual(try store.wipe(task: "light", addedBefore: old).examples, [:])
        XCTAssertEqual(try store.wipe(task: "light", addedBefore: .distantPast).examples, [:])
        let all = try store.wipe(task: "light", retire: true)
        XCTAssertEqual(all.examples.values.reduce(0, +), lines.count - off)
        XCTAssertTrue(all.isRetired)
        XCTAssertEqual(try store.versions(), [])
    }

    func testRemovingVersions() throws {
        let (model, store) = try open()
        for seed: UInt64 in 1...3 { try teach(model, seed: seed) }
        let removed = try store.removeVersions(task: "light", language: "de", keepLast: 1)
        XCTAssertFalse(removed.isEmpty)
        XCTAssertFalse(removed.contains { $0.isActive || $0.language != "de" })
        XCTAssertEqual(try store.removeVersions(task: "light", keepLast: 10), [])
        assertFails(.storeNoVersion) {
            try store.removeVersions(task: "light", language: "it", keepLast: 0)
        }
    }

    func testARound() throws {
        let (model, store) = try open(store: "encoder-store")
        let training = #"{"languages": ["de"], "training": {"steps_max": 2}}"#
        let message = try model.roundAsk(task: "intent", options: training)
        let examples = try Examples(
            ["w14", "w21", "w33", "w47"].enumerated().map {
                LabelledExample(
                    language: "de", text: $0.element, label: $0.offset % 2 == 0 ? "on" : "off")
            })
        let reply = try model.roundReply(message: message.data, examples: examples)
        XCTAssertEqual(try Round(reading: reply.data), reply)
        let average = try store.roundAverage(
            message: message.data, replies: [reply.data, Data(), Data([1, 2, 3])])
        XCTAssert(average.json.contains("round.malformed"))
        let applied = try model.roundApply(
            aggregate: average.data, options: #"{"activation": "never"}"#)
        XCTAssert(applied.contains("\"de\""))
        XCTAssertThrowsError(try model.roundApply(aggregate: message.data)) {
            XCTAssertEqual(($0 as? PolygraftError)?.code, .roundMalformed)
        }
    }
}

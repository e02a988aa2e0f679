import Foundation
import Polygraft
import XCTest

final class ExchangeTests: PolygraftTestCase {
    func testAnAdapterGoesToAnotherDevice() throws {
        let (maker, _) = try open(store: "encoder-store")
        let file = free("base.adapter")
        try maker.exportAdapter(task: "intent", language: "de", path: file)
        assertFails(.argumentInvalid) {
            try maker.exportAdapter(task: "intent", language: "de", path: file)
        }
        assertFails(.storeNoVersion) {
            try maker.exportAdapter(
                task: "intent", language: "de", version: 99, path: free("other"))
        }
        // Nothing serves anything there, so the gate activates the base adapter for all languages.
        let (device, _) = try open()
        let imported = try device.importAdapter(task: "intent", language: "mul", path: file)
        XCTAssertEqual(imported.version, 1)
        XCTAssertTrue(imported.isActivated)
        XCTAssertEqual(imported.format, .own)
        XCTAssertEqual(imported.decision?.candidate, .imported)
        XCTAssertEqual(imported.decision?.isActivated, true)
        let text = "w14 w66 w42"
        let here = try device.predict(task: "intent", language: "tr", text: text)
        XCTAssertEqual(here.language, "mul")
        let there = try maker.predict(task: "intent", language: "de", text: text)
        XCTAssertEqual(here.labels, there.labels)
    }

    func testActivationAndOtherFormats() throws {
        let (model, store) = try open(store: "encoder-store")
        let own = free("own")
        try model.exportAdapter(task: "intent", language: "de", version: 1, path: own)
        var options = try ImportOptions()
        options.activation = .never
        let kept = try model.importAdapter(
            task: "intent", language: "fr", path: own, options: options)
        XCTAssertFalse(kept.isActivated)
        XCTAssertNil(kept.decision)
        options.activation = .always
        let forced = try model.importAdapter(
            task: "intent", language: "fr", path: own, options: options)
        XCTAssertTrue(forced.isActivated)
        XCTAssertEqual(try store.versions(task: "intent").filter { $0.language == "fr" }.count, 2)

        var export = ExportOptions()
        (export.format, export.encoder) = (.peft, "bert")
        let peft = free("peft")
        try model.exportAdapter(task: "intent", language: "de", path: peft, options: export)
        options.headOnPooled = true
        let back = try model.importAdapter(
            task: "intent", language: "it", path: peft, options: options)
        XCTAssertEqual(back.format, .peft)
        XCTAssertTrue(back.isActivated)
    }

    func testWhatCannotBeImported() throws {
        let (model, store) = try open(store: "encoder-store")
        assertFails(.notFound) {
            try model.importAdapter(task: "intent", language: "de", path: free("nothing"))
        }
        let garbage = free("garbage")
        try Data("no adapter".utf8).write(to: URL(fileURLWithPath: garbage))
        XCTAssertThrowsError(
            try model.importAdapter(task: "intent", language: "de", path: garbage)
        ) { XCTAssertTrue(($0 as? PolygraftError)?.name.hasPrefix("adapter.") ?? false, "\($0)") }
        let own = free("own")
        try model.exportAdapter(task: "intent", language: "de", path: own)
        let cancel = try Cancel()
        cancel.trigger()
        let before = try store.versions()
        assertFails(.cancelled) {
            try model.importAdapter(task: "intent", language: "de", path: own, cancel: cancel)
        }
        XCTAssertEqual(try store.versions(), before)
        let (decoder, _) = try open("decoder")
        assertFails(.adapterBaseMismatch) {
            try decoder.importAdapter(task: "intent", language: "de", path: own)
        }
    }

    func testAdaptersAreCombinedAndStacked() throws {
        let (model, _) = try open(store: "encoder-store")
        let own = free("own")
        try model.exportAdapter(task: "intent", language: "de", path: own)
        let half = WeightedAdapter(path: own, weight: 0.5)
        try WeightedAdapter.combine([half, half], to: free("combined"))
        try WeightedAdapter.stack(own, on: own, to: free("stacked"))
        // Two halves of one adapter answer as the whole one does.
        let (device, _) = try open()
        _ = try device.importAdapter(task: "intent", language: "de", path: free("combined"))
        let text = "w14 w66 w42"
        let whole = try model.predict(task: "intent", language: "de", text: text)
        let halves = try device.predict(task: "intent", language: "de", text: text)
        XCTAssertEqual(whole.labels.map(\.name), halves.labels.map(\.name))
        XCTAssertEqual(
            whole.labels[0].probability, halves.labels[0].probability, accuracy: 1e-3)
        assertFails(.argumentInvalid) { try WeightedAdapter.combine([], to: free("none")) }
        assertFails(.notFound) {
            try WeightedAdapter.stack(free("a"), on: free("b"), to: free("c"))
        }
    }

    func testEvaluation() throws {
        let (model, _) = try open(store: "encoder-store")
        let lines = try Fixture.lines("intent-asked")
        let examples = try Examples(path: Fixture.path("examples/intent-asked.jsonl"))
        XCTAssertEqual(examples.count, lines.count)
        var steps: [Int] = []
        let found = try model.evaluate(task: "intent", examples: examples) { step, count in
            XCTAssertEqual(count, lines.count)
            steps.append(step)
        }
        XCTAssertEqual(steps.last, lines.count)
        XCTAssertEqual(found.languages.map(\.language), ["de", "en"])
        for score in found.languages {
            XCTAssertEqual(score.servedBy, score.language)
            XCTAssertEqual(score.version, 2)
            // The accuracy by the predictions, one by one.
            let own = lines.filter { $0.lang == score.language }
            let right = try own.filter {
                try model.predict(task: "intent", language: $0.lang, text: $0.text!)
                    .labels[0].name == $0.label
            }
            XCTAssertEqual(score.examplesCount, own.count)
            XCTAssertEqual(
                try XCTUnwrap(score.metrics["accuracy"]), Double(right.count) / Double(own.count),
                accuracy: 1e-9)
        }
        XCTAssertNil(found.mean.version)
        XCTAssertEqual(
            found.mean.score, found.languages.map(\.score).reduce(0, +) / 2, accuracy: 1e-9)
        XCTAssertThrowsError(
            try model.evaluate(task: "intent", examples: examples) { _, _ in throw Mine() }
        ) { XCTAssertEqual($0 as? Mine, Mine()) }
        let cancel = try Cancel()
        cancel.trigger()
        assertFails(.cancelled) {
            try model.evaluate(task: "intent", examples: examples, cancel: cancel)
        }
        assertFails(.taskKind) { try model.evaluate(task: "grade", examples: examples) }
    }
}

import Foundation
import Polygraft
import XCTest

final class UpdateTests: PolygraftTestCase {
    func testTheWholeLoop() throws {
        let (model, store) = try open()
        assertFails(.storeNoVersion) {
            try model.predict(task: "light", language: "de", text: "w10")
        }
        let update = try begin(model)
        var heard: [UpdateProgress] = []
        let planned = try update.run { heard.append($0) }
        let phases = heard.map(\.phase)
        XCTAssertTrue(phases.contains(.train) && phases.contains(.measureAfter), "\(phases)")
        XCTAssertEqual(heard.map(\.fraction), heard.map(\.fraction).sorted())
        XCTAssertEqual(heard.last?.fraction, 1)
        XCTAssertTrue(heard.contains { $0.phase == .train && $0.loss != nil })
        XCTAssertEqual(planned.task, "light")
        XCTAssertEqual(planned.languages.map(\.language), ["de", "en", "mul"])
        XCTAssertNil(planned.languages[0].version)
        XCTAssertEqual(planned.training.steps > 0, true)
        XCTAssertEqual(try store.versions(), [])

        var options = try short()
        (options.gate, options.gateConfidence) = (true, 0.999)
        XCTAssertNotEqual(try update.judge(options: options).gate, planned.gate)
        XCTAssertEqual(try update.judge(options: short()).gate, planned.gate)
        var again: [UpdateProgress.Phase] = []
        _ = try update.measureAgain { again.append($0.phase) }
        XCTAssertTrue(again.contains(.measureAfter) && !again.contains(.train), "\(again)")

        let committed = try update.commit()
        for entry in committed.languages {
            XCTAssertTrue(entry.isActivated, entry.reason)
            XCTAssertEqual(entry.version, 1)
            XCTAssertEqual(entry.reasonKind, .firstVersion)
        }
        XCTAssertEqual(try model.predict(task: "light", language: "de", text: "w10").version, 1)
        assertFails(.updateState) { try update.commit() }
    }

    func testAnErrorOfACallbackComesOutOfTheCall() throws {
        let (model, store) = try open()
        let update = try begin(model)
        var calls = 0
        XCTAssertThrowsError(
            try update.run { _ in
                calls += 1
                throw Mine()
            }
        ) { XCTAssertEqual($0 as? Mine, Mine()) }
        XCTAssertEqual(calls, 1)
        XCTAssertThrowsError(
            try update.run { if $0.phase == .train { throw CancellationError() } }
        ) { XCTAssertTrue($0 is CancellationError) }
        assertFails(.updateState) { try update.commit() }
        XCTAssertEqual(try store.versions(), [])
        // The update can be run again.
        XCTAssertEqual(try update.run().languages.count, 3)
    }

    func testACancelTokenEndsARun() throws {
        let (model, store) = try open()
        let update = try begin(model)
        let cancel = try Cancel()
        assertFails(.cancelled) {
            try update.run(cancel: cancel) { if $0.phase == .train { cancel.trigger() } }
        }
        assertFails(.cancelled) { try update.run(cancel: cancel) }
        XCTAssertEqual(try store.versions(), [])
    }

    func testASecondCallWhileOneRunsIsRefused() throws {
        let (model, _) = try open()
        let update = try begin(model)
        var refused = 0
        _ = try update.run { _ in
            assertFails(.updateState) { try update.add(language: "de", text: "w10", label: "on") }
            assertFails(.updateState) { try update.run() }
            refused += 1
        }
        XCTAssertGreaterThan(refused, 0)
    }

    func testClosingInsideACallbackEndsTheUpdateAfterTheRun() throws {
        let (model, store) = try open()
        let update = try begin(model)
        _ = try update.run { _ in update.close() }
        assertFails(.argumentInvalid) { try update.commit() }
        XCTAssertEqual(try store.versions(), [])
    }

    func testExamplesOfAllKinds() throws {
        let (model, _) = try open()
        let add: [(String, (Update, Line) throws -> Void)] = [
            ("intent", { try $0.add(language: $1.lang, text: $1.text!, label: $1.label!) }),
            ("moods", { try $0.add(language: $1.lang, input: $1.input, labels: $1.labels!) }),
            ("grade", { try $0.add(language: $1.lang, input: $1.input, number: $1.number!) }),
            ("kinds", { try $0.add(language: $1.lang, words: $1.words!, tags: $1.tags!) }),
            (
                "slots",
                {
                    try $0.add(
                        language: $1.lang, words: $1.words!, label: $1.label!, tags: $1.tags!)
                }
            ),
        ]
        for (task, add) in add {
            let update = try Update(model: model, task: task, options: short(steps: 1))
            for line in try Fixture.lines("\(task)-1") { try add(update, line) }
            XCTAssertEqual(try update.run().languages.map(\.language), ["de", "en", "mul"], task)
        }
    }

    func testSpansOfRawTexts() throws {
        let (model, _) = try open()
        let update = try Update(model: model, task: "rooms", options: short())
        for number in 10..<30 {
            let text = "w40 w\(number)!"
            let range = try XCTUnwrap(text.range(of: "w\(number)"))
            let span = TextSpan(kind: "room", range: range, of: text)
            XCTAssertEqual(span, TextSpan(kind: "room", bytes: 4..<7))
            try update.add(language: "de", text: text, spans: [span])
        }
        let both = [TextSpan(kind: "a", bytes: 0..<2), TextSpan(kind: "a", bytes: 2..<4)]
        let failure = assertFails(.argumentInvalid) {
            try update.add(language: "de", text: "Flurlicht", spans: both)
        }
        XCTAssertTrue(failure?.message.contains("share the word") ?? false)
        for bytes in [-1..<2, 0..<99, 1..<2, 0..<0] {
            assertFails(.argumentInvalid) {
                try update.add(
                    language: "de", text: "öde Flure", spans: [TextSpan(kind: "a", bytes: bytes)])
            }
        }
        _ = try update.run()
        _ = try update.commit()
        XCTAssertEqual(
            try model.predict(task: "rooms", language: "de", text: "w40 w10!").kind,
            .tokenClassification)
    }

    func testExamplesThatDoNotFit() throws {
        let (model, _) = try open()
        let update = try Update(model: model, task: "slots", options: short())
        assertFails(.updateNoExamples) { try update.run() }
        let words = ["w10", "w11", "w12"]
        let broken = assertFails(.argumentInvalid) {
            try update.add(language: "de", words: words, label: "x", tags: ["O", "I-area", "O"])
        }
        XCTAssertTrue(broken?.message.contains("tag 2") ?? false)
        assertFails(.argumentInvalid) { try update.add(language: "de", words: words, tags: ["O"]) }
        assertFails(.taskEmptyText) { try update.add(language: "de", words: [], tags: []) }
        assertFails(.argumentInvalid) {
            try update.add(language: "de", input: .text("w10"), number: .nan)
        }
        try update.add(language: "de", text: "w10", label: "x")
        assertFails(.taskKind) { try update.add(language: "de", input: .text("w10"), number: 1) }
        assertFails(.taskName) { try Update(model: model, task: "a/b") }
    }

    func testExamplesThatAreMalformed() throws {
        let failure = assertFails(.examplesMalformed) {
            try Examples(jsonLines: "{\"lang\": \"de\", \"text\": \"w10\", \"label\": \"on\"}\n{")
        }
        XCTAssertTrue(failure?.message.contains("line 2") ?? false)
        assertFails(.examplesMalformed) { try Examples(jsonLines: "") }
        assertFails(.taskEmptyText) {
            try Examples([LabelledExample(language: "de", text: "", label: "on")])
        }
        assertFails(.notFound) { try Examples(path: free("nothing.jsonl")) }
        let examples = try Examples([
            LabelledExample(language: "de", text: "w10", label: "on"),
            LabelledExample(language: "en", text: "w20", label: "off"),
        ])
        XCTAssertEqual(examples.count, 2)
    }

    func testAnotherUpdateMeanwhile() throws {
        let (model, store) = try open()
        try teach(model)
        let late = try begin(model, short(seed: 2))
        _ = try late.run()
        try store.pin(task: "light", language: "de")
        assertFails(.storeChanged) { try late.commit() }
        try store.unpin(task: "light", language: "de")
        _ = try late.measureAgain()
        XCTAssertEqual(try late.commit().languages.first?.version, 2)
    }
}

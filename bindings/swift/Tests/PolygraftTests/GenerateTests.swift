import Foundation
import Polygraft
import XCTest

final class GenerateTests: PolygraftTestCase {
    private let text = "bdees"

    func testATextInChunks() throws {
        let (model, _) = try open("decoder", store: "decoder-store")
        let whole = try model.predict(task: "lemma", language: "de", text: text)
        let generated = try XCTUnwrap(whole.generated)
        XCTAssertLessThan(generated.logProbability, 0)
        var chunks: [String] = []
        let streamed = try model.generate(task: "lemma", language: "de", text: text) {
            chunks.append($0)
            return true
        }
        XCTAssertEqual(streamed, whole)
        XCTAssertEqual(chunks.joined(), generated.text)
        XCTAssertGreaterThan(chunks.count, 1)

        let first = try model.generate(task: "lemma", language: "de", text: text) { _ in false }
        XCTAssertEqual(first.generated?.finishReason, .stopped)
        XCTAssertTrue(generated.text.hasPrefix(first.generated?.text ?? "no text"))
        XCTAssertThrowsError(
            try model.generate(task: "lemma", language: "de", text: text) { _ in throw Mine() }
        ) { XCTAssertEqual($0 as? Mine, Mine()) }
        let cancel = try Cancel()
        let ended = try model.generate(task: "lemma", language: "de", text: text, cancel: cancel) {
            _ in
            cancel.trigger()
            return true
        }
        XCTAssertEqual(ended.generated?.finishReason, .cancelled)
    }

    func testOptions() throws {
        let (model, _) = try open("decoder", store: "decoder-store")
        var options = try GenerateOptions()
        options.maxNewTokens = 2
        let short = try model.predict(
            task: "lemma", language: "de", input: .text(text), generate: options)
        XCTAssertEqual(short.generated?.tokensCount, 2)
        options = try GenerateOptions()
        options.stopStrings = ["ff"]
        let stopped = try model.predict(
            task: "lemma", language: "de", input: .text(text), generate: options)
        XCTAssertEqual(stopped.generated?.finishReason, .stopped)
        XCTAssertEqual(stopped.generated?.text, "")
        options = try GenerateOptions()
        options.numBeams = 3
        let beams = try model.predict(
            task: "lemma", language: "de", inputs: [.text(text)], generate: options)
        XCTAssertEqual(beams.count, 1)
        options.numBeams = 0
        assertFails(.argumentInvalid) {
            try model.predict(task: "lemma", language: "de", input: .text(text), generate: options)
        }
        options.numBeams = -1
        assertFails(.argumentInvalid) {
            try model.predict(task: "lemma", language: "de", input: .text(text), generate: options)
        }
        options = try GenerateOptions()
        options.stopStrings = ["\0"]
        assertFails(.argumentInvalid) {
            try model.predict(task: "lemma", language: "de", input: .text(text), generate: options)
        }
    }

    func testLearningTexts() throws {
        let (model, _) = try open("decoder")
        let update = try Update(model: model, task: "lemma", options: short(steps: 1))
        for line in try Fixture.lines("lemma-1") {
            try update.add(language: line.lang, text: line.text!, target: line.target!)
        }
        _ = try update.run()
        _ = try update.commit()
        let found = try model.predict(task: "lemma", language: "en", text: text)
        XCTAssertEqual(found.kind, .sequenceToSequence)
        let (encoder, _) = try open(store: "encoder-store")
        assertFails(.taskKind) {
            try encoder.generate(task: "intent", language: "de", text: "w10") { _ in true }
        }
    }

    func testAStreamOfChunks() async throws {
        let (model, _) = try open("decoder", store: "decoder-store")
        var chunks: [String] = []
        var whole: Prediction?
        for try await part in model.generation(task: "lemma", language: "de", text: text) {
            switch part {
            case .chunk(let chunk):
                XCTAssertNil(whole)
                chunks.append(chunk)
            case .finished(let prediction): whole = prediction
            }
        }
        XCTAssertEqual(chunks.joined(), whole?.generated?.text)
        for try await _ in model.generation(task: "lemma", language: "de", text: text) { break }
        do {
            for try await _ in model.generation(task: "nothing", language: "de", text: text) {}
            XCTFail("a task without a version generates")
        } catch PolygraftError.Code.storeNoVersion {
        }
    }
}

import Foundation
import Polygraft
import XCTest

/// An answer that `polygraft predict --json` of version 0.1.0 gave.
private struct Answer: Decodable {
    struct Label: Decodable {
        let label: String
        let probability: Float
    }
    struct Place: Decodable {
        let byteStart, byteEnd, charStart, charEnd: Int
        let text: String
        var tag: String?
        var kind: String?
    }
    struct By: Decodable {
        let language: String
        let version: Int
    }
    let lang: String
    let answeredBy: By
    var text: String?
    var words: [String]?
    var labels: [Label]?
    var number: Double?
    var tagged: [Place]?
    var spans: [Place]?
    var target: String?
    var tokens: Int?
    var logProbability: Float?

    var input: Input { words.map(Input.words) ?? .text(text ?? "") }

    static func all() throws -> [String: [Answer]] {
        let data = try Data(contentsOf: Fixture.folder.appendingPathComponent("answers.json"))
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode([String: [Answer]].self, from: data)
    }
}

final class PredictTests: PolygraftTestCase {
    private func check(_ prediction: Prediction, _ answer: Answer) {
        XCTAssertEqual(prediction.language, answer.answeredBy.language)
        XCTAssertEqual(prediction.version, answer.answeredBy.version)
        XCTAssertEqual(prediction.labels.map(\.name), (answer.labels ?? []).map(\.label))
        for (found, expected) in zip(prediction.labels, answer.labels ?? []) {
            XCTAssertEqual(found.probability, expected.probability, accuracy: 1e-3)
        }
        XCTAssertEqual(prediction.number == nil, answer.number == nil)
        if let found = prediction.number, let expected = answer.number {
            XCTAssertEqual(found, expected, accuracy: 1e-3)
        }
        let whole = answer.text ?? answer.words?.joined(separator: " ") ?? ""
        XCTAssertEqual(prediction.words.map(\.tag), (answer.tagged ?? []).map { $0.tag ?? "" })
        XCTAssertEqual(prediction.spans.map(\.kind), (answer.spans ?? []).map { $0.kind ?? "" })
        let places = prediction.words.map(\.place) + prediction.spans.map(\.place)
        for (place, expected) in zip(places, (answer.tagged ?? []) + (answer.spans ?? [])) {
            XCTAssertEqual(place.bytes, expected.byteStart..<expected.byteEnd)
            XCTAssertEqual(place.scalars, expected.charStart..<expected.charEnd)
            XCTAssertEqual(place.part(of: whole).map(String.init), expected.text)
        }
        XCTAssertEqual(prediction.generated?.text, answer.target)
        XCTAssertEqual(prediction.generated?.tokensCount, answer.tokens)
        XCTAssertEqual(
            prediction.generated?.logProbability ?? 0, answer.logProbability ?? 0, accuracy: 1e-3)
    }

    /// The answers of all kinds of tasks are those of the command, one by one and together.
    func testAnswersAreThoseOfTheCommand() throws {
        let kinds: [String: TaskKind] = [
            "intent": .classification, "moods": .multiLabel, "grade": .regression,
            "kinds": .tokenClassification, "slots": .intentAndSlots, "lemma": .sequenceToSequence,
        ]
        let (encoder, _) = try open(store: "encoder-store")
        let (decoder, _) = try open("decoder", store: "decoder-store")
        let answers = try Answer.all()
        for (task, kind) in kinds {
            let model = kind == .sequenceToSequence ? decoder : encoder
            let expected = try XCTUnwrap(answers[task])
            XCTAssertGreaterThan(expected.count, 3)
            for answer in expected {
                let found = try model.predict(
                    task: task, language: answer.lang, input: answer.input)
                XCTAssertEqual(found.kind, kind)
                check(found, answer)
            }
            let inputs = expected.map { LanguageInput(language: $0.lang, input: $0.input) }
            let together = try model.predict(task: task, inputs: inputs)
            XCTAssertEqual(together.count, expected.count)
            for (found, answer) in zip(together, expected) { check(found, answer) }
            let german = expected.filter { $0.lang == "de" }
            let batch = try model.predict(
                task: task, language: "de", inputs: german.map(\.input))
            for (found, answer) in zip(batch, german) { check(found, answer) }
        }
    }

    func testTextsOfOneLanguage() throws {
        let (model, _) = try open(store: "encoder-store")
        let texts = ["w14 w66 w42", "w28 w71 w70"]
        let batch = try model.predict(task: "intent", language: "de", texts: texts, topK: 1)
        XCTAssertEqual(batch.map { $0.labels.map(\.name) }, [["on"], ["off"]])
        let one = try model.predict(task: "intent", language: "de-AT", text: texts[0])
        XCTAssertEqual(one.labels.count, 2)
        XCTAssertEqual(one.language, "de")
        XCTAssertFalse(one.isTruncated)
        XCTAssertEqual(try model.predict(task: "intent", language: "de", texts: []), [])
        XCTAssertEqual(try model.predict(task: "intent", inputs: []), [])
    }

    func testWhatCannotBeAsked() throws {
        let (model, _) = try open(store: "encoder-store")
        assertFails(.storeNoVersion) {
            try model.predict(task: "nothing", language: "de", text: "w10")
        }
        assertFails(.taskEmptyText) { try model.predict(task: "intent", language: "de", text: "") }
        assertFails(.languageMalformed) {
            try model.predict(task: "intent", language: "no tag", text: "w10")
        }
        let unknown = assertFails(.languageUnknown) {
            try model.predict(task: "intent", language: "German", text: "w10")
        }
        XCTAssertTrue(unknown?.message.contains(#"did you mean "de""#) ?? false)
        assertFails(.taskKind) {
            try model.predict(task: "intent", language: "de", input: .words(["w10"]))
        }
        assertFails(.taskKind) {
            try model.predict(task: "slots", language: "de", input: .pair("w10", "w11"))
        }
        let second = assertFails(.taskEmptyText) {
            try model.predict(task: "intent", language: "de", texts: ["w10", ""])
        }
        XCTAssertTrue(second?.message.contains("2") ?? false)
        assertFails(.taskTooLong) {
            try model.predict(
                task: "intent", language: "de", text: String(repeating: "w10 ", count: 20_000))
        }
    }

    func testACancelledTokenEndsAPrediction() throws {
        let (model, _) = try open(store: "encoder-store")
        let cancel = try Cancel()
        cancel.trigger()
        cancel.trigger()
        assertFails(.cancelled) {
            try model.predict(task: "intent", language: "de", text: "w10", cancel: cancel)
        }
    }

    func testPairsAndPlaces() throws {
        let (model, _) = try open()
        let update = try Update(model: model, task: "same", options: short())
        for number in 10..<30 {
            try update.add(
                language: "de", input: .pair("w\(number)", "w\(number % 2)"),
                label: number % 2 == 0 ? "even" : "odd")
        }
        _ = try update.run()
        _ = try update.commit()
        let prediction = try model.predict(
            task: "same", language: "de", input: .pair("w10", "w11"))
        let sum = prediction.labels.map(\.probability).reduce(0, +)
        XCTAssertEqual(sum, 1, accuracy: 1e-4)
        XCTAssertEqual(Set(prediction.labels.map(\.name)), ["even", "odd"])

        let (slots, _) = try open(store: "encoder-store")
        let text = "  w11: 打开 w40 än!  "
        let tagged = try slots.predict(task: "slots", language: "de", text: text)
        XCTAssertGreaterThan(tagged.words.count, 3)
        for word in tagged.words {
            let part = try XCTUnwrap(word.place.part(of: text))
            XCTAssertEqual(word.place.scalars.count, part.unicodeScalars.count)
            XCTAssertEqual(String(part), part.trimmingCharacters(in: .whitespaces))
        }
        XCTAssertNil(tagged.words.last?.place.part(of: "w11"))
    }

    func testVectors() throws {
        let (model, _) = try open(store: "encoder-store")
        let vectors = try model.embed(texts: ["w10 w11", "w40", "w10 w11"])
        XCTAssertEqual(vectors.count, 3)
        XCTAssertEqual(vectors[0], vectors[2])
        XCTAssertEqual(vectors[1].map { $0 * $0 }.reduce(0, +), 1, accuracy: 1e-4)
        let adapted = try model.embed(texts: ["w40"], task: "intent", language: "de")
        XCTAssertNotEqual(adapted[0], vectors[1])
        XCTAssertEqual(try model.embed(texts: []), [])
        assertFails(.storeNoVersion) {
            try model.embed(texts: ["w10"], task: "nothing", language: "de")
        }
    }

    func testManyThreadsPredictAndTheModelIsClosedMeanwhile() throws {
        let (model, _) = try open(store: "encoder-store")
        let answered = Counter()
        let refused = Counter()
        let group = DispatchGroup()
        for _ in 1...4 {
            DispatchQueue.global().async(group: group) {
                while true {
                    do {
                        _ = try model.predict(task: "intent", language: "de", text: "w14 w66")
                        answered.increase()
                    } catch PolygraftError.Code.argumentInvalid {
                        return refused.increase()
                    } catch {
                        return XCTFail("\(error)")
                    }
                }
            }
        }
        while answered.count < 16 { usleep(1000) }
        model.close()
        group.wait()
        XCTAssertEqual(refused.count, 4)
    }
}

/// A number that several threads increase.
private final class Counter: @unchecked Sendable {
    private let lock = NSLock()
    private var value = 0

    var count: Int { lock.withLock { value } }

    func increase() {
        lock.withLock { value += 1 }
    }
}

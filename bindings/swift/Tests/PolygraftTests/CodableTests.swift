import Foundation
import Polygraft
import XCTest

final class CodableTests: PolygraftTestCase {
    private func again<Value: Codable & Equatable>(_ value: Value) throws {
        let data = try JSONEncoder().encode(value)
        XCTAssertEqual(try JSONDecoder().decode(Value.self, from: data), value)
    }

    func testResultsAreJSON() throws {
        let (model, store) = try open(store: "encoder-store")
        try again(model.predict(task: "intent", language: "de", text: "w10 w40"))
        try again(model.predict(task: "slots", language: "de", text: "w10 w40"))
        try again(model.predict(task: "grade", language: "de", text: "w10 w40"))
        let update = try begin(model)
        var heard: [UpdateProgress] = []
        try again(update.run { heard.append($0) })
        try again(heard)
        try again(update.commit())
        try again(store.versions())
        try again(store.statistics())
        try again(store.explain(task: "intent", language: "lb"))
        try again(Diagnosis(store: free("nothing")))
        let examples = try Examples(path: Fixture.path("examples/intent-asked.jsonl"))
        try again(model.evaluate(task: "intent", examples: examples))
        try again(UpdateOptions())
        try again(ImportOptions())
        try again(Input.pair("a", "b"))
        let failure = assertFails(.taskName) { try store.versions(task: "a/b") }
        try again(XCTUnwrap(failure))
        try again(store.wipe(task: "intent"))
    }

    func testWrongJSONIsAnError() throws {
        for wrong in ["", "{", "{}", "[]", "{\"kind\": \"label\"}", "{\"kind\": -1}"] {
            XCTAssertThrowsError(
                try JSONDecoder().decode(Prediction.self, from: Data(wrong.utf8))
            ) { XCTAssertTrue($0 is DecodingError, "\($0)") }
        }
        let newer = try JSONDecoder().decode([TaskKind].self, from: Data("[1, 99]".utf8))
        XCTAssertEqual(newer, [.classification, TaskKind(rawValue: 99)])
    }
}

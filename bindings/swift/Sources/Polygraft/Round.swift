import CPolygraft
import Foundation

/// A file of a round, in which many devices learn together: a message, a reply or an aggregate.
///
/// Options of rounds are JSON objects; docs/fleet.md has their fields.
public struct Round: Hashable, Codable, Sendable {
    /// What goes over the wire.
    public let data: Data
    /// What the file says, as JSON; of an average also the replies that were refused.
    public let json: String

    /// Reads a message, a reply or an aggregate.
    ///
    /// - Throws: `roundMalformed`.
    public init(reading data: Data) throws {
        let bytes = [UInt8](data)
        self = try Round.made { polygraft_round_read(bytes, bytes.count, $0, $1) }
    }

    private init(copying round: OpaquePointer?) {
        var size = 0
        let first = polygraft_round_bytes(round, &size)
        data = first.map { Data(bytes: $0, count: size) } ?? Data()
        json = String(polygraft_round_json(round))
    }

    static func made(_ make: (Out, Out) -> polygraft_status) throws -> Round {
        try withObject(make, free: { polygraft_round_free($0) }, Round.init(copying:))
    }
}

/// The functions for rounds.
extension Model {
    /// Asks for a round: makes the message for devices, from the versions that serve the languages
    /// here, as in `{"languages": ["de", "tr"]}`.
    ///
    /// - Throws: `argumentInvalid`, `storeNoVersion` and others.
    public func roundAsk(task: String, options: String) throws -> Round {
        let (task, options) = try (task.checked("task"), options.checked("options"))
        return try Round.made { polygraft_round_ask(handle.pointer, task, options, $0, $1) }
    }

    /// Answers a message: trains on examples and on remembered ones, and makes the reply. New
    /// examples are remembered; nothing is published or activated.
    ///
    /// - Throws: `roundMalformed`, `roundMismatch`, `updateNoExamples`, `cancelled` and others.
    public func roundReply(
        message: Data, examples: Examples? = nil, options: String = "{}", cancel: Cancel? = nil
    ) throws -> Round {
        let options = try options.checked("options")
        let bytes = [UInt8](message)
        return try withExtendedLifetime((examples, cancel)) {
            try Round.made {
                polygraft_round_reply(
                    handle.pointer, bytes, bytes.count, examples?.handle.pointer, options,
                    cancel?.handle.pointer, $0, $1)
            }
        }
    }

    /// Publishes the adapters of an aggregate as versions, each of which becomes active only if the
    /// gate of this device lets it. Returns a JSON list with an entry for each language.
    ///
    /// - Throws: `roundMalformed`, `roundMismatch` and others.
    @discardableResult
    public func roundApply(aggregate: Data, options: String = "{}") throws -> String {
        let options = try options.checked("options")
        let bytes = [UInt8](aggregate)
        return try Round.made {
            polygraft_round_apply(handle.pointer, bytes, bytes.count, options, $0, $1)
        }.json
    }
}

/// The function of a server.
extension Store {
    /// Averages replies to a message. A reply with anything wrong changes nothing and is listed
    /// under `refused`.
    ///
    /// - Throws: `roundMalformed` for the message, `roundMismatch` and others.
    public func roundAverage(
        message: Data, replies: [Data], options: String = "{}"
    ) throws -> Round {
        let options = try options.checked("options")
        let bytes = [UInt8](message)
        let copies = replies.map { reply -> UnsafeMutableBufferPointer<UInt8> in
            let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: reply.count)
            _ = copy.initialize(from: reply)
            return copy
        }
        defer { copies.forEach { $0.deallocate() } }
        let firsts = copies.map { UnsafePointer($0.baseAddress) }
        let sizes = copies.map(\.count)
        return try Round.made {
            polygraft_round_average(
                handle.pointer, bytes, bytes.count, firsts, sizes, copies.count, options, $0, $1)
        }
    }
}

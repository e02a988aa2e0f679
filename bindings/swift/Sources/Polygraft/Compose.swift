import CPolygraft

/// A file of polygraft with a weight.
public struct WeightedAdapter: Hashable, Codable, Sendable {
    /// The path of the file.
    public var path: String
    /// The weight.
    public var weight: Double

    /// Makes a weighted adapter.
    public init(path: String, weight: Double) {
        self.path = path
        self.weight = weight
    }

    /// Combines adapters in polygraft's own files side by side, each with its weight, and writes
    /// the result to a path where nothing is yet.
    ///
    /// - Throws: `argumentInvalid`, `adapter…` and `io…`.
    public static func combine(_ adapters: [WeightedAdapter], to path: String) throws {
        let path = try path.checked("path")
        try Arguments.with { arguments in
            let from = try arguments.array("adapters", adapters.map(\.path))
            let weights = adapters.map(\.weight)
            try call { polygraft_adapters_combine(from, weights, weights.count, path, $0) }
        }
    }

    /// Stacks an adapter on another one, both in polygraft's own files, and writes the result to a
    /// path where nothing is yet. The head of the upper one is kept.
    ///
    /// - Throws: `argumentInvalid`, `adapter…` and `io…`.
    public static func stack(_ upper: String, on lower: String, to path: String) throws {
        let (lower, upper) = try (lower.checked("lower"), upper.checked("upper"))
        let path = try path.checked("path")
        try call { polygraft_adapters_stack(lower, upper, path, $0) }
    }
}

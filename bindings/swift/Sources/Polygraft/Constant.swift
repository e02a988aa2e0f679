/// A kind that the library counts, such as the kind of a task.
///
/// These are structures, not enumerations, because a newer library may know more of them than
/// this package: such a value has no name, and keeps its number. Compare with `==` or in a `switch`
/// that has a `default`.
public protocol LibraryConstant: RawRepresentable, Hashable, Codable, CaseIterable, Sendable,
    CustomStringConvertible
where RawValue == UInt32 {
    /// The values that this package knows, with their names in reports and in the command.
    static var names: [Self: String] { get }
    /// Makes the value of a number, also of one that this package does not know.
    init(rawValue: UInt32)
}

extension LibraryConstant {
    /// Makes the value of a constant of the header.
    init(_ constant: Int32) {
        self.init(rawValue: UInt32(bitPattern: constant))
    }

    /// The values that this package knows, in the order of their numbers.
    public static var allCases: [Self] { names.keys.sorted { $0.rawValue < $1.rawValue } }
    /// The name of the value, or its type and number if this package does not know it.
    public var description: String { Self.names[self] ?? "\(Self.self)(\(rawValue))" }
}

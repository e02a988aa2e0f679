import CPolygraft

/// The loaded library. Its properties may be read from any thread.
public enum Library {
    /// The version of the loaded library, for example `0.1.0`.
    public static var version: String { String(polygraft_version_string()) }
    /// The version, build kind and platform of the loaded library in one line, for logs.
    public static var buildInfo: String { String(polygraft_build_info()) }
    /// The version of the binary interface of the loaded library.
    public static var abiVersion: Int { Int(polygraft_abi_version()) }
    /// The version of the binary interface that this package was compiled with.
    public static var expectedABIVersion: Int { Int(POLYGRAFT_ABI_VERSION) }

    /// Refuses a library with another binary interface than that of the header. The loader refuses
    /// it, too, unless the file was renamed.
    static func checkABI() throws {
        guard abiVersion == expectedABIVersion else {
            throw PolygraftError(
                argument: "libpolygraft \(version): expected version \(expectedABIVersion) of the "
                    + "binary interface, found \(abiVersion)")
        }
    }
}

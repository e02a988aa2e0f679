import CPolygraft

/// The loaded library.
public enum Library {
    /// The version of the loaded library.
    public static var version: String { String(polygraft_version_string()) }
    /// The version, build kind and platform of the loaded library in one line.
    public static var buildInfo: String { String(polygraft_build_info()) }
    /// The version of the binary interface of the loaded library.
    public static var abiVersion: UInt32 { polygraft_abi_version() }
}

/// The opened ONNX Runtime library. One engine per process is enough.
///
/// The handle never changes. The library refuses a closed handle and never reuses its number, so
/// every method may be called from any thread, also while another thread closes the engine.
public final class Engine: @unchecked Sendable {
    let handle: OpaquePointer?
    /// The version of the opened ONNX Runtime.
    public let onnxRuntimeVersion: String

    /// Opens ONNX Runtime with its telemetry switched off. Without a path the library is searched
    /// in `ORT_DYLIB_PATH`, beside the polygraft library, and where the system's loader looks.
    public init(onnxRuntimePath: String? = nil) throws {
        var opened: OpaquePointer?
        var options = polygraft_engine_options()
        let size = MemoryLayout<polygraft_engine_options>.size
        try call { polygraft_engine_options_init(&options, size, $0) }
        if let path = try onnxRuntimePath?.checked("onnxRuntimePath") {
            try path.withCString { pointer in
                options.onnxruntime_path = pointer
                try call { polygraft_engine_open(&options, &opened, $0) }
            }
        } else {
            try call { polygraft_engine_open(&options, &opened, $0) }
        }
        var version = polygraft_string_view()
        try call { polygraft_engine_onnxruntime_version(opened, &version, $0) }
        handle = opened
        onnxRuntimeVersion = String(version)
    }

    /// Closes the engine. Models that were opened with it stay usable.
    public func close() {
        var handle = handle
        polygraft_engine_close(&handle)
    }

    deinit { close() }
}

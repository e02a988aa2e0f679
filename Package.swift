// swift-tools-version:6.0

// The package manager reads only a manifest in the root of a repository; everything else of the
// Swift package is in bindings/swift.

import PackageDescription

let package = Package(
    name: "polygraft",
    platforms: [.macOS(.v13), .iOS(.v16), .tvOS(.v16), .watchOS(.v9), .visionOS(.v1)],
    products: [
        .library(name: "Polygraft", targets: ["Polygraft"])
    ],
    targets: [
        .systemLibrary(
            name: "CPolygraft",
            path: "bindings/swift/Sources/CPolygraft",
            // `make install` writes polygraft.pc; docs/install.md says where.
            pkgConfig: "polygraft"
        ),
        .target(
            name: "Polygraft",
            dependencies: ["CPolygraft"],
            path: "bindings/swift/Sources/Polygraft"
        ),
        .testTarget(
            name: "PolygraftTests",
            dependencies: ["Polygraft", "CPolygraft"],
            path: "bindings/swift/Tests/PolygraftTests"
        ),
    ]
)

// swift-tools-version:6.0

import PackageDescription

/// A program of one file, which opens what every program needs.
func program(_ name: String) -> Target {
    .executableTarget(
        name: name,
        dependencies: ["Opened", .product(name: "Polygraft", package: "polygraft")])
}

let package = Package(
    name: "examples",
    platforms: [.macOS(.v13)],
    dependencies: [.package(name: "polygraft", path: "../..")],
    targets: [
        .target(
            name: "Opened",
            dependencies: [.product(name: "Polygraft", package: "polygraft")]),
        program("classify"),
        program("update"),
        program("hotswap"),
        program("ship"),
    ]
)

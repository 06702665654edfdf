// swift-tools-version: 6.0

import PackageDescription

let package = Package(
    name: "SeedbedClient",
    platforms: [.iOS(.v15), .macOS(.v12), .tvOS(.v15), .watchOS(.v9)],
    products: [.library(name: "SeedbedClient", targets: ["SeedbedClient"])],
    dependencies: [
        .package(url: "https://github.com/powersync-ja/powersync-swift.git", from: "1.15.0"),
        // The SDK's own SQLite, in the version that the SDK asks for: another one would not see its locks.
        .package(url: "https://github.com/powersync-ja/CSQLite.git", "3.51.0" ..< "4.0.0"),
    ],
    targets: [
        .target(
            name: "SeedbedClient",
            dependencies: [
                .product(name: "PowerSync", package: "powersync-swift"),
                .product(name: "CSQLite", package: "CSQLite"),
            ]
        ),
    ],
    swiftLanguageModes: [.v5]
)

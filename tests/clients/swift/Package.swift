// swift-tools-version: 6.0

import PackageDescription

let package = Package(
    name: "driver",
    platforms: [.macOS(.v12)],
    dependencies: [
        .package(path: "../../../deploy/clients/swift"),
        .package(url: "https://github.com/powersync-ja/powersync-swift.git", from: "1.15.0"),
    ],
    targets: [
        .executableTarget(
            name: "driver",
            dependencies: [
                .product(name: "SeedbedClient", package: "swift"),
                .product(name: "PowerSync", package: "powersync-swift"),
            ]
        ),
    ],
    swiftLanguageModes: [.v5]
)

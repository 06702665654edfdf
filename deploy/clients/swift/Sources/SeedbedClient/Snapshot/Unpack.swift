import Compression
import CryptoKit
import Foundation

private let pieceSize = 64 * 1024

/// Hexadecimal. Between two pieces the launch can be cancelled.
func sha256(_ path: String) throws -> String {
    let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
    defer { try? file.close() }
    var digest = SHA256()
    while let piece = try file.read(upToCount: pieceSize), !piece.isEmpty {
        try Task.checkCancellation()
        digest.update(data: piece)
    }
    return digest.finalize().map { String(format: "%02x", $0) }.joined()
}

/// Unpacks gzip into a new file of at most `limit` bytes, and brings that to the disk.
///
/// The system's library has deflate alone: the header of RFC 1952 is read here, and its checksum is left to the sha256 of both files.
func gunzip(_ from: String, _ to: String, limit: Int64, onBytes: (Int64) -> Void) throws {
    let packed = try FileHandle(forReadingFrom: URL(fileURLWithPath: from))
    defer { try? packed.close() }
    try skipHeader(packed)
    let file = try Files.append(to, 0)
    defer { try? file.close() }
    let filter = try InputFilter(.decompress, using: .zlib, bufferCapacity: pieceSize) { try packed.read(upToCount: $0) }
    var there: Int64 = 0
    while let piece = try filter.readData(ofLength: pieceSize), !piece.isEmpty {
        try Task.checkCancellation()
        there += Int64(piece.count)
        if there > limit { throw SeedbedError(.corrupt, "it has more than \(limit) bytes") }
        try file.write(contentsOf: piece)
        onBytes(there)
    }
    try file.synchronize()
}

private func skipHeader(_ file: FileHandle) throws {
    func take(_ count: Int) throws -> [UInt8] {
        let bytes = try file.read(upToCount: count).map { [UInt8]($0) } ?? []
        if bytes.count < count { throw SeedbedError(.corrupt, "it is no gzip") }
        return bytes
    }
    let head = try take(10)
    guard head[0] == 0x1F, head[1] == 0x8B, head[2] == 8 else { throw SeedbedError(.corrupt, "it is no gzip") }
    let flags = head[3]
    if flags & 4 != 0 {
        let length = try take(2)
        _ = try take(Int(length[0]) + Int(length[1]) * 256)
    }
    // A name and a comment, each ended by a zero.
    for flag: UInt8 in [8, 16] where flags & flag != 0 {
        while try take(1)[0] != 0 {}
    }
    if flags & 2 != 0 { _ = try take(2) }
}

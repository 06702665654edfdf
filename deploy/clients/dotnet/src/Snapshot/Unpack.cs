using System;
using System.IO;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Threading;

namespace Seedbed.Client.Snapshot
{
    internal static class Unpack
    {
        private const int Piece = 64 * 1024;

        /// <summary>Hexadecimal.</summary>
        public static string Sha256(string path, CancellationToken cancel)
        {
            using (var file = File.OpenRead(path))
            using (var digest = SHA256.Create())
            {
                ForEachPiece(file, cancel, (piece, count) => digest.TransformBlock(piece, 0, count, null, 0));
                digest.TransformFinalBlock(new byte[0], 0, 0);
                return BitConverter.ToString(digest.Hash).Replace("-", "").ToLowerInvariant();
            }
        }

        /// <summary>Unpacks gzip into a new file of at most <paramref name="limit"/> bytes, and brings that to the disk.</summary>
        public static void Gunzip(string from, string to, long limit, Action<long> onBytes, CancellationToken cancel)
        {
            var there = 0L;
            using (var packed = new GZipStream(File.OpenRead(from), CompressionMode.Decompress))
            using (var file = new FileStream(to, FileMode.Create, FileAccess.Write))
            {
                ForEachPiece(packed, cancel, (piece, count) =>
                {
                    there += count;
                    if (there > limit) throw new InvalidDataException("it has more than " + limit + " bytes");
                    file.Write(piece, 0, count);
                    onBytes(there);
                });
                file.Flush(true);
            }
        }

        /// <summary>Between two pieces the launch can be cancelled.</summary>
        private static void ForEachPiece(Stream stream, CancellationToken cancel, Action<byte[], int> work)
        {
            var buffer = new byte[Piece];
            while (true)
            {
                cancel.ThrowIfCancellationRequested();
                var count = stream.Read(buffer, 0, buffer.Length);
                if (count == 0) return;
                work(buffer, count);
            }
        }
    }
}

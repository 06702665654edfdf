using System;
using System.Collections.Generic;
using System.Net.Http;
using System.Text.RegularExpressions;
using System.Threading;
using System.Threading.Tasks;
using Seedbed.Client.Platform;

namespace Seedbed.Client.Snapshot
{
    /// <summary>Brings all bytes of a rendition into the part, over as many requests as it takes. Rule 6 of CONTRACT.md.</summary>
    internal sealed class Download
    {
        /// <summary>Requests in a row that bring nothing new.</summary>
        private const int Fruitless = 4;

        /// <summary>The first pause after such a request is this part of the silence limit.</summary>
        private const int Pauses = 30;

        /// <summary>URLs in a row that are refused.</summary>
        private const int Refused = 3;

        /// <summary>The statuses that say that a URL has expired.</summary>
        private static readonly HashSet<int> Refusals = new HashSet<int> { 401, 403, 404, 410 };

        private static readonly Regex ContentRange = new Regex(@"^bytes (\d+)-\d*/(\d+|\*)");

        private readonly SnapshotSource source;
        private readonly string part;
        private readonly long bytes;
        private string databaseUrl;
        private string etag;

        /// <summary>A new URL of the same rendition; throws if there is another one now.</summary>
        public Func<Task<string>> Renew { get; set; }

        /// <summary>The bytes have this strong ETag.</summary>
        public Action<string> OnEtag { get; set; }

        /// <summary>How many are there now.</summary>
        public Action<long> OnBytes { get; set; }

        /// <summary>Bytes that came over the network.</summary>
        public long Received { get; private set; }

        public int Resumes { get; private set; }

        public Download(SnapshotSource source, string part, Snapshot snapshot, string etag)
        {
            this.source = source;
            this.part = part;
            bytes = snapshot.Rendition.Bytes;
            databaseUrl = snapshot.DatabaseUrl;
            this.etag = etag;
        }

        /// <summary>Throws <c>stalled</c>, <c>cut</c>, <c>expired</c>, <c>server_error</c>, <c>corrupt</c>, <c>disk_full</c>.</summary>
        public async Task Run(CancellationToken cancel)
        {
            var size = Files.Size(part) ?? 0;
            // The most there ever was: a server without ranges starts anew each time, and that is no progress.
            var most = size;
            var fruitless = 0;
            var refused = 0;
            var first = size == 0;
            while (size < bytes)
            {
                cancel.ThrowIfCancellationRequested();
                if (!first) Resumes++;
                first = false;
                var (isRefused, error) = await Request(size, cancel).ConfigureAwait(false);
                size = Files.Size(part) ?? 0;
                if (size > most)
                {
                    most = size;
                    fruitless = 0;
                    refused = 0;
                }
                else if (isRefused)
                {
                    if (++refused == Refused) throw new SeedbedException(Reason.Expired, "the URL of the snapshot is refused again and again");
                    databaseUrl = await Renew().ConfigureAwait(false);
                }
                else
                {
                    if (++fruitless == Fruitless) throw error ?? new SeedbedException(Reason.Cut, "the snapshot ended after " + size + " of " + bytes + " bytes");
                    var pause = TimeSpan.FromTicks(source.SilenceLimit.Ticks / Pauses * (1 << (fruitless - 1)));
                    await Task.Delay(error?.RetryAfter ?? pause, cancel).ConfigureAwait(false);
                }
            }
        }

        /// <summary>Whether the URL is refused, and why the request ended early.</summary>
        private async Task<(bool, SeedbedException)> Request(long size, CancellationToken cancel)
        {
            try
            {
                using (var exchange = await Exchange.Send(source.Http, RequestFrom(size), source.SilenceLimit, cancel).ConfigureAwait(false))
                {
                    if (Refusals.Contains(exchange.Status)) return (true, null);
                    var offset = OffsetOf(exchange, size);
                    var its = exchange.Answer.Headers.ETag;
                    if (its != null && !its.IsWeak && its.Tag != etag)
                    {
                        // Written before the bytes, so that it is there when they are.
                        OnEtag(its.Tag);
                        etag = its.Tag;
                    }
                    await Store(exchange, offset).ConfigureAwait(false);
                    return (false, null);
                }
            }
            catch (Exception error) when (!cancel.IsCancellationRequested)
            {
                var known = SeedbedException.Of(error, Reason.Cut, "the download broke off");
                // Nothing that comes next would be right.
                if (known.Code == Reason.Corrupt || known.Code == Reason.DiskFull) throw known;
                return (false, known);
            }
        }

        private HttpRequestMessage RequestFrom(long size)
        {
            // The URL is its own authorization: a token in addition to the signature makes S3 refuse it.
            var request = new HttpRequestMessage(HttpMethod.Get, databaseUrl);
            request.Headers.TryAddWithoutValidation("Accept-Encoding", "identity");
            if (size > 0)
            {
                request.Headers.TryAddWithoutValidation("Range", "bytes=" + size + "-");
                if (etag != null) request.Headers.TryAddWithoutValidation("If-Range", etag);
            }
            return request;
        }

        /// <summary>Where the bytes of the answer begin.</summary>
        private long OffsetOf(Exchange exchange, long size)
        {
            if (exchange.Status == 200) return 0;
            var range = ContentRange.Match(exchange.Answer.Content.Headers.ContentRange?.ToString() ?? "");
            var total = range.Groups[2].Value;
            if (exchange.Status == 206 && range.Groups[1].Value == size.ToString() && (total == "*" || total == bytes.ToString())) return size;
            // Another object than the one that was promised, shorter or longer.
            var another = exchange.Status == 206 || exchange.Status == 416;
            throw new SeedbedException(
                another ? Reason.Corrupt : Reason.ServerError,
                "the snapshot cannot be downloaded: " + exchange.Status,
                null,
                Question.RetryAfter(exchange));
        }

        private async Task Store(Exchange exchange, long offset)
        {
            using (var file = Files.Append(part, offset))
            {
                while (true)
                {
                    var piece = await exchange.Next().ConfigureAwait(false);
                    if (piece.Count == 0) return;
                    offset += piece.Count;
                    if (offset > bytes) throw new SeedbedException(Reason.Corrupt, "the snapshot has more than its " + bytes + " bytes");
                    Received += piece.Count;
                    file.Write(piece.Array, piece.Offset, piece.Count);
                    // Out of this process, so that a kill loses little.
                    file.Flush();
                    OnBytes(offset);
                }
            }
        }
    }
}

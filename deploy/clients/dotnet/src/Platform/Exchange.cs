using System;
using System.IO;
using System.Net.Http;
using System.Threading;
using System.Threading.Tasks;

namespace Seedbed.Client.Platform
{
    /// <summary>One request. Nothing limits its time but silence.</summary>
    internal sealed class Exchange : IDisposable
    {
        private static readonly Lazy<HttpClient> Shared = new Lazy<HttpClient>(() =>
            new HttpClient(new HttpClientHandler { UseCookies = false }) { Timeout = Timeout.InfiniteTimeSpan });

        private readonly TimeSpan silenceLimit;
        private readonly CancellationToken cancel;
        private readonly byte[] buffer = new byte[64 * 1024];
        private Stream body;

        public HttpResponseMessage Answer { get; private set; }

        private Exchange(TimeSpan silenceLimit, CancellationToken cancel)
        {
            this.silenceLimit = silenceLimit;
            this.cancel = cancel;
        }

        /// <summary>Sends a request, and returns once the headers of the answer have come.</summary>
        public static async Task<Exchange> Send(HttpClient http, HttpRequestMessage request, TimeSpan silenceLimit, CancellationToken cancel)
        {
            var exchange = new Exchange(silenceLimit, cancel);
            var sending = (http ?? Shared.Value).SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel);
            exchange.Answer = await exchange.UnlessSilent(sending, late => late.Dispose()).ConfigureAwait(false);
            return exchange;
        }

        public int Status => (int)Answer.StatusCode;

        /// <summary>The next piece of the body, and its length; 0 at its end.</summary>
        public async Task<ArraySegment<byte>> Next()
        {
            if (body == null) body = await UnlessSilent(Answer.Content.ReadAsStreamAsync(), null).ConfigureAwait(false);
            var count = await UnlessSilent(body.ReadAsync(buffer, 0, buffer.Length, cancel), null).ConfigureAwait(false);
            return new ArraySegment<byte>(buffer, 0, count);
        }

        /// <summary>All of the body, up to a limit of bytes.</summary>
        public async Task<string> Text(int limit)
        {
            var all = new MemoryStream();
            while (all.Length < limit)
            {
                var piece = await Next().ConfigureAwait(false);
                if (piece.Count == 0) break;
                all.Write(piece.Array, piece.Offset, piece.Count);
            }
            return System.Text.Encoding.UTF8.GetString(all.ToArray());
        }

        /// <summary>Nothing more is wanted: the connection ends.</summary>
        public void Dispose()
        {
            Answer?.Dispose();
        }

        /// <summary>Some platforms do not cancel a read from a socket: who waits is free all the same.</summary>
        private async Task<T> UnlessSilent<T>(Task<T> work, Action<T> late)
        {
            using (var ended = CancellationTokenSource.CreateLinkedTokenSource(cancel))
            {
                var first = await Task.WhenAny(work, Task.Delay(silenceLimit, ended.Token)).ConfigureAwait(false);
                ended.Cancel();
                if (first == work) return await work.ConfigureAwait(false);
            }
            Abandon(work, late);
            cancel.ThrowIfCancellationRequested();
            throw new SeedbedException(Reason.Stalled, "nothing came for " + silenceLimit.TotalSeconds + " s (timeout)");
        }

        private static void Abandon<T>(Task<T> work, Action<T> late)
        {
            work.ContinueWith(it =>
            {
                if (it.Status == TaskStatus.RanToCompletion) late?.Invoke(it.Result);
                else GC.KeepAlive(it.Exception);
            });
        }
    }
}

using System;
using System.Net.Http;
using System.Threading;
using System.Threading.Tasks;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;
using Seedbed.Client.Platform;
using Seedbed.Client.Snapshot;

namespace Seedbed.Client.Streaming
{
    /// <summary><c>GET /start</c>: whether a store's stream can be had from Seedbed now. Rule 14 of CONTRACT.md.</summary>
    internal sealed class Start
    {
        private const int LongestAnswer = 64 * 1024;

        /// <summary>For the SDK's credentials, if Seedbed has a stream for the device; else null.</summary>
        public string Endpoint { get; private set; }

        /// <summary>In a word, for logs.</summary>
        public string Why { get; private set; }

        /// <summary>Why it has not: one of <see cref="Reason"/>.</summary>
        public string Code { get; private set; }

        /// <summary>Asks once, and answers whatever happens: without an answer, PowerSync is the place to go.</summary>
        public static async Task<Start> Ask(HttpClient http, string url, string storeId, string token, string generation, TimeSpan limit, CancellationToken cancel)
        {
            var endpoint = EndpointOf(url);
            using (var ending = CancellationTokenSource.CreateLinkedTokenSource(cancel))
            {
                ending.CancelAfter(limit);
                try
                {
                    var known = generation == null ? "" : "&generation=" + Uri.EscapeDataString(generation);
                    var request = new HttpRequestMessage(HttpMethod.Get, endpoint + "/start?store_id=" + Uri.EscapeDataString(storeId) + known);
                    request.Headers.TryAddWithoutValidation("Authorization", "Bearer " + token);
                    using (var exchange = await Exchange.Send(http, request, limit, ending.Token).ConfigureAwait(false))
                    {
                        return Of(exchange.Status, await exchange.Text(LongestAnswer).ConfigureAwait(false), endpoint);
                    }
                }
                catch (Exception error)
                {
                    cancel.ThrowIfCancellationRequested();
                    return ending.IsCancellationRequested
                        ? new Start { Why = "no answer in time", Code = Reason.Stalled }
                        : new Start { Why = error.Message, Code = Reason.Offline };
                }
            }
        }

        private static Start Of(int status, string text, string endpoint)
        {
            JObject body;
            try
            {
                body = Json.Parse(text);
            }
            catch (JsonException)
            {
                body = new JObject();
            }
            var error = body.Text("error") ?? "";
            if (status != 200) return new Start { Why = (status + " " + error).TrimEnd(), Code = Question.CodeOf(status, error) };
            var why = body.Text("why") ?? Reason.BadAnswer;
            if (body.Text("from") != "seedbed") return new Start { Why = why, Code = why == "snapshot_too_old" ? Reason.TooOld : Reason.NoSnapshot };
            return new Start { Endpoint = (body.Text("endpoint") ?? endpoint).TrimEnd('/'), Why = why };
        }

        /// <summary>Where Seedbed answers, without a path of its own: an SDK adds <c>/sync/stream</c>.</summary>
        private static string EndpointOf(string url)
        {
            const string Path = "/database";
            var bare = url.TrimEnd('/');
            return bare.EndsWith(Path, StringComparison.Ordinal) ? bare.Substring(0, bare.Length - Path.Length).TrimEnd('/') : bare;
        }
    }
}

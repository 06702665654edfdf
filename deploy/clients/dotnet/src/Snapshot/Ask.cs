using System;
using System.Collections.Generic;
using System.Linq;
using System.Net.Http;
using System.Threading;
using System.Threading.Tasks;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;
using Seedbed.Client.Platform;

namespace Seedbed.Client.Snapshot
{
    /// <summary>What the answer says, as far as it is used.</summary>
    internal sealed class Snapshot
    {
        /// <summary>Signed: anyone who has it can download the snapshot until it expires.</summary>
        public string DatabaseUrl { get; set; }

        public Rendition Rendition { get; set; }
    }

    /// <summary><c>GET /database</c>: which snapshot there is, and whether this app can use it. Rules 4 and 5 of CONTRACT.md.</summary>
    internal sealed class Question
    {
        private const int LongestAnswer = 1024 * 1024;

        public SnapshotSource Source { get; set; }
        public SnapshotForm Form { get; set; }
        public IReadOnlyList<Packing> Encodings { get; set; }

        /// <summary>The version of the SDK's core extension.</summary>
        public string Core { get; set; }

        /// <summary>Asks once. 202, 429 and 503 are exceptions with <c>RetryAfter</c>.</summary>
        public async Task<Snapshot> Ask(CancellationToken cancel)
        {
            SeedbedException refusal = null;
            foreach (var query in Queries())
            {
                using (var exchange = await Send(query, cancel).ConfigureAwait(false))
                {
                    var body = await BodyOf(exchange).ConfigureAwait(false);
                    if (exchange.Status == 200) return Checked(body);
                    refusal = Refusal(exchange, body);
                    // 400: it does not know a parameter. 404: it has no such form or encoding; with another error, no snapshot at all.
                    var older = exchange.Status == 400 || (exchange.Status == 404 && (body.Text("error") ?? "").StartsWith("no_such_", StringComparison.Ordinal));
                    if (!older) break;
                }
            }
            throw refusal;
        }

        /// <summary>What to ask for, one after the other.</summary>
        private IEnumerable<string> Queries()
        {
            var encodings = string.Join(",", Encodings.Select(it => it.ToString().ToLowerInvariant()));
            foreach (var form in new[] { Form, SnapshotForm.File }.Distinct())
            {
                yield return "&form=" + form.ToString().ToLowerInvariant() + "&encoding=" + Uri.EscapeDataString(encodings) + "&core=" + Uri.EscapeDataString(Core);
            }
            yield return "&encoding=identity";
        }

        private async Task<Exchange> Send(string query, CancellationToken cancel)
        {
            string token;
            try
            {
                token = await Source.GetToken().ConfigureAwait(false);
            }
            catch (Exception error)
            {
                throw SeedbedException.Of(error, Reason.NoToken, "the app has no token");
            }
            var url = Source.Url + (Source.Url.Contains("?") ? "&" : "?") + "store_id=" + Uri.EscapeDataString(Source.StoreId) + query;
            var request = new HttpRequestMessage(HttpMethod.Get, url);
            request.Headers.TryAddWithoutValidation("Authorization", "Bearer " + token);
            try
            {
                return await Exchange.Send(Source.Http, request, Source.SilenceLimit, cancel).ConfigureAwait(false);
            }
            catch (Exception error) when (!cancel.IsCancellationRequested)
            {
                throw SeedbedException.Of(error, Reason.Offline, "Seedbed does not answer");
            }
        }

        private static async Task<JObject> BodyOf(Exchange exchange)
        {
            string text;
            try
            {
                text = await exchange.Text(LongestAnswer).ConfigureAwait(false);
            }
            catch (Exception error) when (!(error is OperationCanceledException))
            {
                throw SeedbedException.Of(error, Reason.Offline, "Seedbed does not answer");
            }
            try
            {
                return Json.Parse(text);
            }
            catch (JsonException)
            {
                return new JObject();
            }
        }

        private static SeedbedException Refusal(Exchange exchange, JObject body)
        {
            var error = body.Text("error") ?? "";
            var message = ("no snapshot of the store: " + exchange.Status + " " + error + " " + body.Text("message")).TrimEnd();
            var code = CodeOf(exchange.Status, error);
            var passes = code == Reason.BeingSeeded || code == Reason.Busy;
            var after = passes ? RetryAfter(exchange) : null;
            if (after < TimeSpan.FromSeconds(1)) after = TimeSpan.FromSeconds(1);
            return new SeedbedException(code, message, null, after);
        }

        internal static string CodeOf(int status, string error)
        {
            switch (status)
            {
                case 202: return Reason.BeingSeeded;
                case 429:
                case 503: return Reason.Busy;
                case 401: return Reason.Unauthorized;
                case 403: return error == "downloads_disabled" ? Reason.DownloadsDisabled : Reason.WrongStore;
                case 404: return error == "snapshot_too_old" ? Reason.TooOld : Reason.NoSnapshot;
                case 400: return Reason.BadAnswer;
                default: return Reason.ServerError;
            }
        }

        /// <summary>How long the server wants to be left alone.</summary>
        public static TimeSpan? RetryAfter(Exchange exchange)
        {
            return exchange.Answer.Headers.RetryAfter?.Delta;
        }

        private Snapshot Checked(JObject body)
        {
            var url = body.Text("databaseUrl");
            var signed = Uri.TryCreate(url, UriKind.Absolute, out var parsed) && (parsed.Scheme == "https" || parsed.Scheme == "http");
            var rendition = Rendition.Of(body);
            // Without these a damaged file would not be noticed.
            if (!signed || rendition == null)
            {
                throw new SeedbedException(Reason.BadAnswer, "the answer names no snapshot that this package knows: is the URL that of GET /database?");
            }
            var asked = (rendition.Form == SnapshotForm.File || rendition.Form == Form)
                && (rendition.Encoding == Packing.Identity || Encodings.Contains(rendition.Encoding));
            if (!asked)
            {
                throw new SeedbedException(Reason.BadAnswer, "the answer has " + rendition.Form + "/" + rendition.Encoding + ", which was not asked for");
            }
            Identity.Require(body, rendition, this);
            return new Snapshot { DatabaseUrl = url, Rendition = rendition };
        }
    }
}

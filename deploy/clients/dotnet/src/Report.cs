using System;
using System.Net.Http;
using System.Threading;
using System.Threading.Tasks;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;
using Seedbed.Client.Platform;

namespace Seedbed.Client
{
    /// <summary>An anonymous line about a first launch, if the app wants it. Rule 13 of CONTRACT.md.</summary>
    internal static class Report
    {
        /// <summary>Of this package: a test compares it with <c>Seedbed.Client.csproj</c>.</summary>
        private const string Version = "0.1.0";

        private static readonly TimeSpan Limit = TimeSpan.FromSeconds(5);

        /// <summary>Sends it, without waiting, and never fails: a report is worth nothing to the app.</summary>
        public static void Send(SnapshotSource source, Outcome outcome)
        {
            if (source.Report && outcome.Result != Result.Kept) Task.Run(() => TrySend(source, outcome));
        }

        private static async Task TrySend(SnapshotSource source, Outcome outcome)
        {
            try
            {
                var at = source.Url.LastIndexOf('/');
                var url = source.Url.Substring(0, at) + "/reports?store_id=" + Uri.EscapeDataString(source.StoreId);
                var request = new HttpRequestMessage(HttpMethod.Post, url);
                request.Headers.TryAddWithoutValidation("Authorization", "Bearer " + await source.GetToken().ConfigureAwait(false));
                request.Content = new StringContent(Content(outcome), System.Text.Encoding.UTF8, "application/json");
                (await Exchange.Send(source.Http, request, Limit, CancellationToken.None).ConfigureAwait(false)).Dispose();
            }
            catch (Exception)
            {
                // Offline, or a server without reports.
            }
        }

        private static string Content(Outcome outcome)
        {
            var seconds = new JObject();
            foreach (var stage in outcome.Seconds) seconds[Word(stage.Key)] = stage.Value;
            var json = new JObject
            {
                ["v"] = 1,
                // Random (version 4), by which the server knows a report that comes twice.
                ["launch"] = Guid.NewGuid().ToString(),
                ["outcome"] = outcome.Reason == Reason.Cancelled ? "cancelled" : Word(outcome.Result),
                ["form"] = outcome.Form?.ToString().ToLowerInvariant(),
                ["encoding"] = outcome.Encoding?.ToString().ToLowerInvariant(),
                ["reason"] = outcome.Reason,
                ["bytes"] = outcome.Bytes,
                ["resumes"] = outcome.Resumes,
                ["seconds"] = seconds,
                ["platform"] = "dotnet",
                ["package"] = Version,
                ["core"] = outcome.Core
            };
            return json.ToString(Formatting.None);
        }

        private static string Word<T>(T value)
        {
            return value.ToString().ToLowerInvariant();
        }
    }
}

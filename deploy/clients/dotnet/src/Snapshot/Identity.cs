using System;
using System.Globalization;
using System.Linq;
using System.Text.RegularExpressions;
using Newtonsoft.Json.Linq;
using Seedbed.Client.Database;

namespace Seedbed.Client.Snapshot
{
    /// <summary>Refuses what is not for this app, before anything is downloaded. Rule 5 of CONTRACT.md.</summary>
    internal static class Identity
    {
        public static void Require(JObject body, Rendition rendition, Question question)
        {
            var source = question.Source;
            var store = body.Text("storeId");
            if (store != null && store != source.StoreId) throw Refusal(Reason.WrongStore, "the snapshot is of another store");
            var its = Record.ServiceOf(body.Text("serviceEndpoint"));
            var own = Record.ServiceOf(source.Endpoint);
            if (its != null && own != null && its != own)
            {
                throw Refusal(Reason.WrongService, "the snapshot is of " + its + ", and the app connects to " + own);
            }
            var generation = body.Text("generation");
            if (source.Generation != null && generation != null && generation != source.Generation)
            {
                throw Refusal(Reason.WrongGeneration, "the snapshot is of generation " + generation + ", not " + source.Generation);
            }
            RequireFresh(body, source.MaxAge);
            var core = body.Text("coreVersion");
            if (core != null && IsNewer(core, question.Core))
            {
                throw Refusal(Reason.NewerCore, "the snapshot is of core " + core + ", and the SDK has " + question.Core);
            }
            var finish = rendition.Finish ?? 0;
            if (rendition.Form == SnapshotForm.Compact && (finish < 1 || finish > FinishVersion.Newest))
            {
                throw Refusal(Reason.UnknownFinish, "the snapshot needs version " + finish + " of finishing, and this package has " + FinishVersion.Newest);
            }
        }

        private static void RequireFresh(JObject body, TimeSpan? maxAge)
        {
            var limits = new[] { maxAge?.TotalSeconds, body.Double("maxAge") }.Where(it => it != null).ToList();
            var time = body.Text("verifiedAt") ?? body.Text("createdAt");
            if (limits.Count == 0 || !DateTimeOffset.TryParse(time, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var since)) return;
            var age = (DateTimeOffset.UtcNow - since).TotalSeconds;
            if (age > limits.Min())
            {
                throw Refusal(Reason.TooOld, "the snapshot was verified " + (long)age + " s ago, and may be " + limits.Min() + " s old");
            }
        }

        private static SeedbedException Refusal(string code, string message)
        {
            return new SeedbedException(code, message);
        }

        /// <summary>Whether a version <c>1.2.3</c> is newer than another.</summary>
        internal static bool IsNewer(string version, string than)
        {
            var (one, another) = (NumbersOf(version), NumbersOf(than));
            for (var at = 0; at < Math.Min(one.Length, another.Length); at++)
            {
                if (one[at] != another[at]) return one[at] > another[at];
            }
            return false;
        }

        private static int[] NumbersOf(string version)
        {
            return Regex.Split(version, "[^0-9]+").Take(3).Select(it => int.TryParse(it, out var number) ? number : 0).ToArray();
        }
    }
}

using System.Text.RegularExpressions;
using Newtonsoft.Json.Linq;

namespace Seedbed.Client.Snapshot
{
    /// <summary>What identifies the bytes of a rendition, and what is needed to make a database of them. It is kept in the note.</summary>
    internal sealed class Rendition
    {
        public SnapshotForm Form { get; private set; }
        public Packing Encoding { get; private set; }
        public long Bytes { get; private set; }

        /// <summary>Hexadecimal, over the bytes as they are stored.</summary>
        public string Sha256 { get; private set; }

        public long? UnpackedBytes { get; private set; }
        public string UnpackedSha256 { get; private set; }

        /// <summary>The version of finishing, for a compact file.</summary>
        public long? Finish { get; private set; }

        public bool IsSameAs(Rendition other)
        {
            return Sha256 == other.Sha256 && Bytes == other.Bytes && Form == other.Form;
        }

        public JObject ToJson()
        {
            return new JObject
            {
                ["form"] = Form.ToString().ToLowerInvariant(),
                ["encoding"] = Encoding.ToString().ToLowerInvariant(),
                ["bytes"] = Bytes,
                ["sha256"] = Sha256,
                ["unpackedBytes"] = UnpackedBytes,
                ["unpackedSha256"] = UnpackedSha256,
                ["finish"] = Finish
            };
        }

        /// <summary>Null if a field is missing, or is not what it should be.</summary>
        public static Rendition Of(JObject fields)
        {
            var form = fields.Text("form") ?? "file";
            var encoding = fields.Text("encoding") ?? "identity";
            var bytes = fields.Long("bytes");
            var sha256 = fields.Text("sha256");
            var known = (form == "file" || form == "compact") && (encoding == "gzip" || encoding == "identity");
            if (!known || bytes == null || bytes < 0 || sha256 == null || !Regex.IsMatch(sha256, "^[0-9A-Fa-f]{64}$")) return null;
            return new Rendition
            {
                Form = form == "file" ? SnapshotForm.File : SnapshotForm.Compact,
                Encoding = encoding == "gzip" ? Packing.Gzip : Packing.Identity,
                Bytes = bytes.Value,
                Sha256 = sha256.ToLowerInvariant(),
                UnpackedBytes = fields.Long("unpackedBytes"),
                UnpackedSha256 = fields.Text("unpackedSha256")?.ToLowerInvariant(),
                Finish = form == "compact" ? fields.Long("finish") : null
            };
        }
    }

    /// <summary>Fields of an answer, which may be anything.</summary>
    internal static class Fields
    {
        public static string Text(this JObject fields, string name)
        {
            var value = fields[name];
            return value != null && value.Type == JTokenType.String ? (string)value : null;
        }

        public static long? Long(this JObject fields, string name)
        {
            var value = fields[name];
            return value != null && value.Type == JTokenType.Integer ? (long?)value : null;
        }

        public static double? Double(this JObject fields, string name)
        {
            var value = fields[name];
            return value != null && (value.Type == JTokenType.Integer || value.Type == JTokenType.Float) ? (double?)value : null;
        }
    }
}

using System.Collections.Generic;
using System.IO;
using System.Linq;
using Newtonsoft.Json.Linq;

namespace Seedbed.Client.Database
{
    /// <summary>
    /// A way to finish a compact file: a copy of Seedbed's <c>protocol/finish</c>, with which a test compares it. No statement that
    /// comes over the network is run.
    /// </summary>
    internal sealed class FinishVersion
    {
        /// <summary>The newest version of finishing that this package has.</summary>
        public const long Newest = 1;

        /// <summary>Those of the core extension with which it was tested.</summary>
        public ISet<string> CoreVersions { get; }

        /// <summary>In order, in one transaction.</summary>
        public IReadOnlyList<FinishStep> Steps { get; }

        private FinishVersion(JObject fields)
        {
            CoreVersions = new HashSet<string>(fields["core_versions"].Select(it => (string)it));
            Steps = fields["steps"].Select(it => new FinishStep((JObject)it)).ToList();
        }

        public static FinishVersion Of(long version)
        {
            var name = "Seedbed.Client.finish-v" + version + ".json";
            var resource = typeof(FinishVersion).Assembly.GetManifestResourceStream(name);
            if (resource == null) throw new SeedbedException(Reason.UnknownFinish, "the package has no " + name);
            using (var reader = new StreamReader(resource)) return new FinishVersion(JObject.Parse(reader.ReadToEnd()));
        }
    }

    internal sealed class FinishStep
    {
        public string Name { get; }
        public string Sql { get; }

        /// <summary>Whether the app's schema is its parameter, as JSON.</summary>
        public bool TakesSchema { get; }

        /// <summary>What the statement has to return.</summary>
        public long? Returns { get; }

        /// <summary>In place of <c>Sql</c>: asks a fresh database of the same core for the statements to run.</summary>
        public string OfCore { get; }

        public FinishStep(JObject fields)
        {
            Name = (string)fields["name"];
            Sql = (string)fields["sql"];
            TakesSchema = fields["parameters"] is JArray names && names.Any(it => (string)it == "schema");
            Returns = (long?)fields["returns"];
            OfCore = (string)fields["of_core"];
        }
    }
}

using System;
using System.IO;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;
using Seedbed.Client.Database;
using Seedbed.Client.Platform;

namespace Seedbed.Client.Snapshot
{
    /// <summary>
    /// What the part and the staged file are of, so that a later launch can go on with them: <c>app.db.seedbed.json</c>. A killed
    /// process leaves the one before or the one after a change.
    /// </summary>
    internal sealed class Note
    {
        private readonly string path;
        private Rendition rendition;
        private Record record;

        public bool Staged { get; private set; }
        public string Etag { get; private set; }

        private Note(string path)
        {
            this.path = path;
        }

        public static Note Read(Paths paths)
        {
            var note = new Note(paths.Note);
            try
            {
                var fields = Json.Parse(File.ReadAllText(paths.Note));
                if (fields.Long("v") != 1) return note;
                note.rendition = Rendition.Of((JObject)fields["rendition"]);
                note.record = Record.Of(fields["record"]);
                note.Etag = fields.Text("etag");
                // Killed before the part became the staged file.
                note.Staged = (bool?)fields["staged"] == true && File.Exists(paths.Staged);
            }
            catch (Exception error) when (error is IOException || error is JsonException || error is InvalidCastException || error is ArgumentException)
            {
                // None, or none that can be read: the launch starts anew.
                note.Forget();
            }
            return note;
        }

        /// <summary>Whether the bytes that are there are those of the rendition, for the same store.</summary>
        public bool IsOf(Rendition wanted, Record by)
        {
            return rendition != null && record != null && rendition.IsSameAs(wanted) && record.IsSameStore(by);
        }

        /// <summary>Begins anew.</summary>
        public void Start(Rendition of, Record by)
        {
            Forget();
            rendition = of;
            record = by;
            Write();
        }

        public void SetEtag(string etag)
        {
            Etag = etag;
            Write();
        }

        public void SetStaged()
        {
            Staged = true;
            Write();
        }

        /// <summary>The files it was about are gone.</summary>
        public void Forget()
        {
            rendition = null;
            record = null;
            Staged = false;
            Etag = null;
        }

        public void Remove()
        {
            Forget();
            File.Delete(path);
        }

        private void Write()
        {
            var json = new JObject
            {
                ["v"] = 1,
                ["rendition"] = rendition.ToJson(),
                ["record"] = record.ToJson(),
                ["staged"] = Staged,
                ["etag"] = Etag
            };
            Files.Write(path, json.ToString(Formatting.None));
        }
    }

    internal static class Json
    {
        /// <summary>Parses an object, and leaves what looks like a date a text.</summary>
        public static JObject Parse(string text)
        {
            using (var reader = new JsonTextReader(new StringReader(text)) { DateParseHandling = DateParseHandling.None }) return JObject.Load(reader);
        }
    }
}

using System.IO;
using System.Linq;

namespace Seedbed.Client.Platform
{
    /// <summary>The files of a launch, beside the database.</summary>
    internal sealed class Paths
    {
        public string Database { get; }
        public string Note { get; }
        public string Part { get; }
        public string Staged { get; }
        public string Lock { get; }

        public Paths(string database)
        {
            Database = Path.GetFullPath(database);
            Note = Database + ".seedbed.json";
            Part = Database + ".seedbed.part";
            Staged = Database + ".seedbed.db";
            Lock = Database + ".seedbed.lock";
        }

        /// <summary>Whether there is anything of a launch: one that goes on, or one that was killed.</summary>
        public bool IsUnderWay()
        {
            return new[] { Lock, Note, Part, Staged }.Any(File.Exists);
        }

        /// <summary>Removes whatever launches have left, but for the lock.</summary>
        public void RemoveLeftovers()
        {
            File.Delete(Part);
            RemoveDatabase(Staged);
            File.Delete(Note + ".new");
            File.Delete(Note);
        }

        /// <summary>Removes a database with SQLite's other files.</summary>
        public static void RemoveDatabase(string path)
        {
            File.Delete(path);
            RemoveCompanions(path);
        }

        /// <summary>Removes what SQLite would take for the database's own: a WAL or journal that another one has left.</summary>
        public static void RemoveCompanions(string path)
        {
            foreach (var suffix in new[] { "-wal", "-shm", "-journal" }) File.Delete(path + suffix);
        }
    }
}

using System;
using System.IO;
using System.Text;

namespace Seedbed.Client.Platform
{
    /// <summary>What a launch does with files, in the same way on every system.</summary>
    internal static class Files
    {
        /// <summary>An open file can be neither renamed over nor removed.</summary>
        public static readonly bool CloseFirst = Path.DirectorySeparatorChar == '\\';

        /// <summary>Bytes; null if there is no such file.</summary>
        public static long? Size(string path)
        {
            var file = new FileInfo(path);
            return file.Exists ? file.Length : (long?)null;
        }

        /// <summary>Replaces what is there as a whole.</summary>
        public static void Write(string path, string text)
        {
            var fresh = path + ".new";
            using (var file = new FileStream(fresh, FileMode.Create, FileAccess.Write))
            {
                var bytes = new UTF8Encoding(false).GetBytes(text);
                file.Write(bytes, 0, bytes.Length);
                file.Flush(true);
            }
            Replace(fresh, path);
        }

        /// <summary>Renames over what is there.</summary>
        public static void Replace(string from, string to)
        {
            // Both are renames. `Move` does not replace, and `Replace` needs something to replace.
            if (File.Exists(to)) File.Replace(from, to, null);
            else File.Move(from, to);
        }

        /// <summary>Renames; false if something is there.</summary>
        public static bool Place(string from, string to)
        {
            try
            {
                File.Move(from, to);
                return true;
            }
            catch (IOException) when (File.Exists(to))
            {
                return false;
            }
        }

        /// <summary>Opens for writing at an offset, which is the size, or 0: then what is there goes.</summary>
        public static FileStream Append(string path, long offset)
        {
            var file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.Read);
            file.SetLength(offset);
            file.Seek(offset, SeekOrigin.Begin);
            return file;
        }

        /// <summary>Brings a file to the disk.</summary>
        public static void Sync(string path)
        {
            using (var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite)) file.Flush(true);
        }

        /// <summary>Bytes that are free for a path; null where the system does not say.</summary>
        public static long? Free(string path)
        {
            try
            {
                // Elsewhere than on Windows any directory is asked for its own file system.
                var place = CloseFirst ? Path.GetPathRoot(path) : Path.GetDirectoryName(path);
                return new DriveInfo(place).AvailableFreeSpace;
            }
            catch (Exception)
            {
                // A sandbox that shows no drives, or a share of a network.
                return null;
            }
        }
    }
}

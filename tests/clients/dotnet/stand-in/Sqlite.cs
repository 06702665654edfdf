// Microsoft.Data.Sqlite and SQLitePCLRaw, as far as the package uses them, on SQLite's C interface: neither is served here.

using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Data.Sqlite;

namespace SQLitePCL
{
    /// <summary>A connection of SQLite's.</summary>
    public sealed class sqlite3
    {
        internal IntPtr Pointer;
    }

    /// <summary>A text of SQLite's.</summary>
    public struct utf8z
    {
        internal string Text;

        public string utf8_to_string()
        {
            return Text;
        }
    }

    public static class raw
    {
        public const int SQLITE_OK = 0;
        public const int SQLITE_BUSY = 5;
        public const int SQLITE_LOCKED = 6;

        public static int sqlite3_exec(sqlite3 db, string sql)
        {
            return Native.sqlite3_exec(db.Pointer, Native.Text(sql), IntPtr.Zero, IntPtr.Zero, IntPtr.Zero);
        }

        public static utf8z sqlite3_errmsg(sqlite3 db)
        {
            return new utf8z { Text = Native.Text(Native.sqlite3_errmsg(db.Pointer)) };
        }
    }
}

namespace Microsoft.Data.Sqlite
{
    /// <summary>SQLite's C interface.</summary>
    internal static class Native
    {
        private const string Library = "libsqlite3mc.so";

        [DllImport(Library)] internal static extern int sqlite3_open_v2(byte[] path, out IntPtr db, int flags, IntPtr vfs);
        [DllImport(Library)] internal static extern int sqlite3_close_v2(IntPtr db);
        [DllImport(Library)] internal static extern int sqlite3_exec(IntPtr db, byte[] sql, IntPtr callback, IntPtr argument, IntPtr message);
        [DllImport(Library)] internal static extern IntPtr sqlite3_errmsg(IntPtr db);
        [DllImport(Library)] internal static extern int sqlite3_enable_load_extension(IntPtr db, int on);
        [DllImport(Library)] internal static extern int sqlite3_load_extension(IntPtr db, byte[] file, byte[] entry, IntPtr message);
        [DllImport(Library)] internal static extern int sqlite3_prepare_v2(IntPtr db, byte[] sql, int bytes, out IntPtr statement, IntPtr rest);
        [DllImport(Library)] internal static extern int sqlite3_bind_parameter_index(IntPtr statement, byte[] name);
        [DllImport(Library)] internal static extern int sqlite3_bind_text(IntPtr statement, int index, byte[] text, int bytes, IntPtr destructor);
        [DllImport(Library)] internal static extern int sqlite3_bind_int64(IntPtr statement, int index, long number);
        [DllImport(Library)] internal static extern int sqlite3_bind_null(IntPtr statement, int index);
        [DllImport(Library)] internal static extern int sqlite3_step(IntPtr statement);
        [DllImport(Library)] internal static extern int sqlite3_finalize(IntPtr statement);
        [DllImport(Library)] internal static extern int sqlite3_column_count(IntPtr statement);
        [DllImport(Library)] internal static extern int sqlite3_column_type(IntPtr statement, int index);
        [DllImport(Library)] internal static extern long sqlite3_column_int64(IntPtr statement, int index);
        [DllImport(Library)] internal static extern double sqlite3_column_double(IntPtr statement, int index);
        [DllImport(Library)] internal static extern IntPtr sqlite3_column_text(IntPtr statement, int index);
        [DllImport(Library)] internal static extern IntPtr sqlite3_column_name(IntPtr statement, int index);

        internal static byte[] Text(string text)
        {
            return Encoding.UTF8.GetBytes(text + "\0");
        }

        internal static string Text(IntPtr text)
        {
            var length = 0;
            while (Marshal.ReadByte(text, length) != 0) length++;
            var bytes = new byte[length];
            Marshal.Copy(text, bytes, 0, length);
            return Encoding.UTF8.GetString(bytes);
        }
    }

    public sealed class SqliteException : Exception
    {
        public SqliteException(string message, int code) : base("SQLite Error " + code + ": '" + message + "'.")
        {
            SqliteErrorCode = code;
        }

        public int SqliteErrorCode { get; }
    }

    public sealed class SqliteConnectionStringBuilder
    {
        public string DataSource { get; set; }
        public bool Pooling { get; set; }

        public override string ToString()
        {
            return DataSource;
        }
    }

    public sealed class SqliteConnection : IDisposable
    {
        private readonly string path;

        public SqliteConnection(string path)
        {
            this.path = path;
        }

        public SQLitePCL.sqlite3 Handle { get; private set; }
        public int DefaultTimeout { get; set; }

        public void Open()
        {
            const int ReadWriteCreate = 6;
            Handle = new SQLitePCL.sqlite3();
            Check(Native.sqlite3_open_v2(Native.Text(path), out Handle.Pointer, ReadWriteCreate, IntPtr.Zero));
        }

        public void EnableExtensions(bool on)
        {
            Check(Native.sqlite3_enable_load_extension(Handle.Pointer, on ? 1 : 0));
        }

        public void LoadExtension(string file, string entry = null)
        {
            Check(Native.sqlite3_load_extension(Handle.Pointer, Native.Text(file), entry == null ? null : Native.Text(entry), IntPtr.Zero));
        }

        public SqliteCommand CreateCommand()
        {
            return new SqliteCommand(this);
        }

        public void Close()
        {
            if (Handle == null) return;
            Native.sqlite3_close_v2(Handle.Pointer);
            Handle = null;
        }

        public void Dispose()
        {
            Close();
        }

        internal void Check(int code)
        {
            if (code != SQLitePCL.raw.SQLITE_OK) throw new SqliteException(Native.Text(Native.sqlite3_errmsg(Handle.Pointer)), code);
        }
    }

    public sealed class SqliteParameterCollection
    {
        internal readonly List<KeyValuePair<string, object>> All = new List<KeyValuePair<string, object>>();

        public void AddWithValue(string name, object value)
        {
            All.Add(new KeyValuePair<string, object>(name, value));
        }
    }

    public sealed class SqliteCommand : IDisposable
    {
        private readonly SqliteConnection connection;

        internal SqliteCommand(SqliteConnection connection)
        {
            this.connection = connection;
        }

        public string CommandText { get; set; }
        public SqliteParameterCollection Parameters { get; } = new SqliteParameterCollection();

        public SqliteDataReader ExecuteReader()
        {
            var sql = Native.Text(CommandText);
            connection.Check(Native.sqlite3_prepare_v2(connection.Handle.Pointer, sql, sql.Length, out var statement, IntPtr.Zero));
            foreach (var parameter in Parameters.All)
            {
                // A number in place of a name is a place.
                var place = int.TryParse(parameter.Key, out var at) ? at : Native.sqlite3_bind_parameter_index(statement, Native.Text(parameter.Key));
                Bind(statement, place, parameter.Value);
            }
            return new SqliteDataReader(connection, statement);
        }

        public void Dispose()
        {
        }

        private static void Bind(IntPtr statement, int place, object value)
        {
            if (value == null) Native.sqlite3_bind_null(statement, place);
            else if (value is long || value is int || value is bool) Native.sqlite3_bind_int64(statement, place, Convert.ToInt64(value));
            else
            {
                var text = Encoding.UTF8.GetBytes(Convert.ToString(value));
                // SQLITE_TRANSIENT: SQLite makes a copy.
                Native.sqlite3_bind_text(statement, place, text, text.Length, new IntPtr(-1));
            }
        }
    }

    public sealed class SqliteDataReader : IDisposable
    {
        private readonly SqliteConnection connection;
        private readonly IntPtr statement;
        private bool done;
        private bool stepped;

        internal SqliteDataReader(SqliteConnection connection, IntPtr statement)
        {
            this.connection = connection;
            this.statement = statement;
            // As the real one: it has run before the first row is asked for.
            try
            {
                Step();
            }
            catch
            {
                Dispose();
                throw;
            }
        }

        public int FieldCount => Native.sqlite3_column_count(statement);

        public bool Read()
        {
            if (!stepped && !done) Step();
            stepped = false;
            return !done;
        }

        public string GetName(int at)
        {
            return Native.Text(Native.sqlite3_column_name(statement, at));
        }

        public bool IsDBNull(int at)
        {
            return Native.sqlite3_column_type(statement, at) == 5;
        }

        public object GetValue(int at)
        {
            switch (Native.sqlite3_column_type(statement, at))
            {
                case 1: return Native.sqlite3_column_int64(statement, at);
                case 2: return Native.sqlite3_column_double(statement, at);
                default: return Native.Text(Native.sqlite3_column_text(statement, at));
            }
        }

        public void Dispose()
        {
            Native.sqlite3_finalize(statement);
        }

        private void Step()
        {
            const int Row = 100;
            const int Done = 101;
            var code = Native.sqlite3_step(statement);
            stepped = code == Row;
            done = code == Done;
            if (code != Row && code != Done) connection.Check(code);
        }
    }
}

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Threading;
using System.Threading.Tasks;
using Seedbed.Client.Database;
using Seedbed.Client.Platform;

namespace Seedbed.Client.Snapshot
{
    /// <summary>From a question to a whole staged file: WAITING, DOWNLOADING and UNPACKING. Rules 4 to 7 of CONTRACT.md. One attempt.</summary>
    internal sealed class Staging
    {
        /// <summary>Downloads from the start, before a launch goes without.</summary>
        private const int Tries = 3;

        /// <summary>How many times its bytes a file may unpack to, if the answer does not say.</summary>
        private const int MostPacked = 100;

        private readonly Paths paths;
        private readonly SnapshotSource source;
        private readonly Course course;
        private readonly Record record;
        private readonly Note note;
        private readonly CancellationToken cancel;
        private IReadOnlyList<Packing> encodings = new[] { Packing.Gzip, Packing.Identity };

        /// <summary>While one snapshot was downloaded, a newer one has taken its place.</summary>
        private bool replaced;

        public Staging(Paths paths, SnapshotSource source, Course course, Record record, Note note, CancellationToken cancel)
        {
            this.paths = paths;
            this.source = source;
            this.course = course;
            this.record = record;
            this.note = note;
            this.cancel = cancel;
        }

        /// <summary>Does what an earlier launch has not done, and says what the staged file is.</summary>
        public async Task<Rendition> Run()
        {
            for (var tries = 1; ; tries++)
            {
                var snapshot = await AskPatiently().ConfigureAwait(false);
                var rendition = snapshot.Rendition;
                if (!note.IsOf(rendition, record))
                {
                    // Of another snapshot, or nothing that could be read.
                    paths.RemoveLeftovers();
                    note.Start(rendition, record);
                }
                else if (note.Staged) return rendition;
                var resumed = (Files.Size(paths.Part) ?? 0) > 0;
                try
                {
                    replaced = false;
                    await Bring(snapshot).ConfigureAwait(false);
                    Unpacked(rendition);
                    return rendition;
                }
                catch (Exception error) when (!cancel.IsCancellationRequested)
                {
                    var known = SeedbedException.Of(error, Reason.Cut, "the download failed");
                    if (!MayTryAgain(known.Code, rendition.Encoding, resumed) || tries == Tries) throw known;
                }
            }
        }

        /// <summary>What a failure means for the next try, and whether there is one.</summary>
        private bool MayTryAgain(string code, Packing encoding, bool resumed)
        {
            if (code == Reason.Corrupt)
            {
                paths.RemoveLeftovers();
                note.Forget();
            }
            // A machine that lost its power may have kept the size of a file and not its bytes.
            var damaged = (code == Reason.Corrupt || code == Reason.Cut) && encoding != Packing.Identity;
            // Libraries and proxies unpack what is called gzip, some in the middle of a range: the plain file has no such name.
            if (damaged && !resumed) encodings = new[] { Packing.Identity };
            return replaced || damaged || (code == Reason.Corrupt && resumed);
        }

        /// <summary>WAITING: leaves what was there.</summary>
        private async Task<Snapshot> AskPatiently()
        {
            course.Enter(Stage.Waiting);
            var since = Stopwatch.StartNew();
            while (true)
            {
                TimeSpan wait;
                try
                {
                    return await Ask().ConfigureAwait(false);
                }
                catch (SeedbedException error) when (error.RetryAfter != null && since.Elapsed + error.RetryAfter <= source.WaitLimit)
                {
                    wait = error.RetryAfter.Value;
                }
                await Task.Delay(wait, cancel).ConfigureAwait(false);
            }
        }

        private Task<Snapshot> Ask()
        {
            var core = course.Outcome.Core ?? "";
            // With another core extension, finishing is not tested.
            var compact = source.Form == SnapshotForm.Compact && FinishVersion.Of(FinishVersion.Newest).CoreVersions.Contains(core);
            var question = new Question { Source = source, Form = compact ? SnapshotForm.Compact : SnapshotForm.File, Encodings = encodings, Core = core };
            return question.Ask(cancel);
        }

        /// <summary>DOWNLOADING: leaves the note, and a part that ends anywhere.</summary>
        private async Task Bring(Snapshot snapshot)
        {
            var rendition = snapshot.Rendition;
            var there = Files.Size(paths.Part) ?? 0;
            NeedDisk(rendition, rendition.Bytes - there);
            course.Enter(Stage.Downloading, there, rendition.Bytes);
            var download = new Download(source, paths.Part, snapshot, note.Etag)
            {
                Renew = Renew,
                OnEtag = note.SetEtag,
                OnBytes = it => course.Tell(it, rendition.Bytes)
            };
            try
            {
                await download.Run(cancel).ConfigureAwait(false);
            }
            finally
            {
                course.Outcome.Bytes += download.Received;
                course.Outcome.Resumes += download.Resumes;
            }
        }

        private async Task<string> Renew()
        {
            var renewed = await Ask().ConfigureAwait(false);
            if (note.IsOf(renewed.Rendition, record)) return renewed.DatabaseUrl;
            replaced = true;
            throw new SeedbedException(Reason.Expired, "there is another snapshot now");
        }

        /// <summary>UNPACKING: leaves the part, and perhaps a staged file that is not whole.</summary>
        private void Unpacked(Rendition rendition)
        {
            if (Unpack.Sha256(paths.Part, cancel) != rendition.Sha256)
            {
                throw new SeedbedException(Reason.Corrupt, "the snapshot was altered on the way: its sha256 differs");
            }
            Paths.RemoveDatabase(paths.Staged);
            if (rendition.Encoding == Packing.Identity)
            {
                Files.Sync(paths.Part);
                // Before the rename: a process that is killed in between has a part, which is checked and renamed again.
                note.SetStaged();
                Files.Replace(paths.Part, paths.Staged);
                return;
            }
            var total = rendition.UnpackedBytes;
            course.Enter(Stage.Unpacking, 0, total);
            try
            {
                Unpack.Gunzip(paths.Part, paths.Staged, total ?? MostPacked * rendition.Bytes, it => course.Tell(it, total), cancel);
            }
            catch (Exception error) when (!cancel.IsCancellationRequested)
            {
                throw SeedbedException.Of(error, Reason.Corrupt, "the snapshot cannot be unpacked");
            }
            var right = (total == null || Files.Size(paths.Staged) == total)
                && (rendition.UnpackedSha256 == null || Unpack.Sha256(paths.Staged, cancel) == rendition.UnpackedSha256);
            if (!right) throw new SeedbedException(Reason.Corrupt, "the unpacked snapshot is not what the answer says");
            note.SetStaged();
            System.IO.File.Delete(paths.Part);
        }

        private void NeedDisk(Rendition rendition, long left)
        {
            var packed = rendition.Encoding != Packing.Identity;
            var unpacked = rendition.UnpackedBytes ?? (packed ? 4 * rendition.Bytes : rendition.Bytes);
            var needed = left + (packed ? unpacked : 0) + (rendition.Form == SnapshotForm.Compact ? unpacked : 0);
            var free = Files.Free(paths.Database);
            if (free < needed) throw new SeedbedException(Reason.DiskFull, "the snapshot needs " + needed + " bytes of disk, and " + free + " are free");
        }
    }
}

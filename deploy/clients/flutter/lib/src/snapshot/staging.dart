import 'dart:io';

import '../cancellation.dart';
import '../course.dart';
import '../database/finishes.dart';
import '../database/record.dart';
import '../platform/paths.dart';
import '../reason.dart';
import '../source.dart';
import 'ask.dart';
import 'download.dart';
import 'note.dart';
import 'rendition.dart';
import 'unpack.dart';

/// From a question to a whole staged file: WAITING, DOWNLOADING and UNPACKING. Rules 4 to 7 of CONTRACT.md. One attempt.
final class Staging {
  final Paths paths;
  final SnapshotSource source;
  final Course course;
  final Record record;
  final Note note;
  final Cancellation cancel;
  var _encodings = const [Packing.gzip, Packing.identity];

  /// While one snapshot was downloaded, a newer one has taken its place.
  var _replaced = false;

  Staging(this.paths, this.source, this.course, this.record, this.note, this.cancel);

  /// Downloads from the start, before a launch goes without.
  static const _tries = 3;

  /// How many times its bytes a file may unpack to, if the answer does not say.
  static const _mostPacked = 100;

  /// Does what an earlier launch has not done, and says what the staged file is.
  Future<Rendition> run() async {
    for (var tries = 1;; tries++) {
      final snapshot = await _askPatiently();
      final rendition = snapshot.rendition;
      if (!note.isOf(rendition, record)) {
        // Of another snapshot, or nothing that could be read.
        paths.removeLeftovers();
        note.start(rendition, record);
      } else if (note.staged) {
        return rendition;
      }
      final resumed = (sizeOf(paths.part) ?? 0) > 0;
      try {
        _replaced = false;
        await _download(snapshot);
        await _unpack(rendition);
        return rendition;
      } catch (error) {
        await cancel.check();
        final known = SeedbedException.of(error, Reason.cut, 'the download failed');
        if (!_mayTryAgain(known.reason, rendition.encoding, resumed) || tries == _tries) throw known;
      }
    }
  }

  /// What a failure means for the next try, and whether there is one.
  bool _mayTryAgain(Reason reason, Packing encoding, bool resumed) {
    if (reason == Reason.corrupt) {
      paths.removeLeftovers();
      note.forget();
    }
    // A machine that lost its power may have kept the size of a file and not its bytes.
    final damaged = (reason == Reason.corrupt || reason == Reason.cut) && encoding != Packing.identity;
    // Libraries and proxies unpack what is called gzip, some in the middle of a range: the plain file has no such name.
    if (damaged && !resumed) _encodings = const [Packing.identity];
    return _replaced || damaged || (reason == Reason.corrupt && resumed);
  }

  /// WAITING: leaves what was there.
  Future<Snapshot> _askPatiently() async {
    course.enter(LaunchStage.waiting);
    final since = Stopwatch()..start();
    while (true) {
      try {
        return await _ask();
      } on SeedbedException catch (error) {
        final wait = error.retryAfter;
        if (wait == null || since.elapsed + wait > source.waitLimit) rethrow;
        await cancel.pause(wait);
      }
    }
  }

  Future<Snapshot> _ask() {
    final core = course.outcome.core ?? '';
    // With another core extension, finishing is not tested.
    final compact = source.form == SnapshotForm.compact && FinishVersion.all[newestFinish]!.coreVersions.contains(core);
    final question = Question(source: source, form: compact ? SnapshotForm.compact : SnapshotForm.file, encodings: _encodings, core: core);
    return question.ask(cancel);
  }

  /// DOWNLOADING: leaves the note, and a part that ends anywhere.
  Future<void> _download(Snapshot snapshot) async {
    final rendition = snapshot.rendition;
    final there = sizeOf(paths.part) ?? 0;
    await _needDisk(rendition, rendition.bytes - there);
    course.enter(LaunchStage.downloading, bytes: there, total: rendition.bytes);
    final download = Download(
      part: paths.part,
      bytes: rendition.bytes,
      databaseUrl: snapshot.databaseUrl,
      etag: note.etag,
      silenceLimit: source.silenceLimit,
      cancel: cancel,
      renew: _renew,
      onEtag: note.setEtag,
      onBytes: (bytes) => course.tell(bytes, rendition.bytes),
    );
    try {
      await download.run();
    } finally {
      course.outcome.bytes += download.received;
      course.outcome.resumes += download.resumes;
    }
  }

  Future<Uri> _renew() async {
    final renewed = await _ask();
    if (note.isOf(renewed.rendition, record)) return renewed.databaseUrl;
    _replaced = true;
    throw const SeedbedException(Reason.expired, 'there is another snapshot now');
  }

  /// UNPACKING: leaves the part, and perhaps a staged file that is not whole.
  Future<void> _unpack(Rendition rendition) async {
    if (await sha256Of(paths.part, cancel) != rendition.sha256) {
      throw const SeedbedException(Reason.corrupt, 'the snapshot was altered on the way: its sha256 differs');
    }
    removeDatabase(paths.staged);
    if (rendition.encoding == Packing.identity) {
      syncFile(paths.part);
      // Before the rename: a process that is killed in between has a part, which is checked and renamed again.
      note.setStaged();
      File(paths.part).renameSync(paths.staged);
      return;
    }
    final total = rendition.unpackedBytes;
    course.enter(LaunchStage.unpacking, total: total);
    try {
      await gunzip(paths.part, paths.staged, total ?? _mostPacked * rendition.bytes, (bytes) => course.tell(bytes, total), cancel);
    } catch (error) {
      throw SeedbedException.of(error, Reason.corrupt, 'the snapshot cannot be unpacked');
    }
    final right = (total == null || sizeOf(paths.staged) == total) &&
        (rendition.unpackedSha256 == null || await sha256Of(paths.staged, cancel) == rendition.unpackedSha256);
    if (!right) throw const SeedbedException(Reason.corrupt, 'the unpacked snapshot is not what the answer says');
    note.setStaged();
    remove(paths.part);
  }

  Future<void> _needDisk(Rendition rendition, int left) async {
    final packed = rendition.encoding != Packing.identity;
    final unpacked = rendition.unpackedBytes ?? (packed ? 4 * rendition.bytes : rendition.bytes);
    final needed = left + (packed ? unpacked : 0) + (rendition.form == SnapshotForm.compact ? unpacked : 0);
    final free = await source.freeDisk?.call(paths.database);
    if (free != null && free < needed) {
      throw SeedbedException(Reason.diskFull, 'the snapshot needs $needed bytes of disk, and $free are free');
    }
  }
}

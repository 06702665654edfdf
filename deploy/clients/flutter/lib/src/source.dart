import 'package:powersync/powersync.dart';
import 'package:sqlite3/sqlite3.dart' show Database;

import 'reason.dart';

/// What is downloaded.
enum SnapshotForm {
  /// As the snapshot guide has it.
  file,

  /// A fraction of the bytes; the device finishes it.
  compact,

  /// The SDK takes its first sync from Seedbed; nothing is placed.
  stream,
}

/// How the bytes of a rendition are stored.
enum Packing { gzip, identity }

/// What to do without a snapshot.
enum WhenUnavailable {
  /// Open an empty database, so that `connect` does the normal initial sync.
  sync,

  /// Keep trying, for as long as the reason may pass.
  wait,

  /// Throw a [SeedbedException].
  fail,
}

/// What a launch is doing.
enum LaunchStage { waiting, downloading, unpacking, finishing }

/// How far a launch is. [bytes] never go back within a stage, but for a download that starts anew; in the form stream they are operations.
typedef LaunchProgress = ({LaunchStage stage, int bytes, int? total});

/// How a launch has ended.
enum LaunchResult { kept, installed, sync, failed }

/// What has come of a launch.
final class LaunchOutcome {
  LaunchResult result = LaunchResult.kept;

  /// Null if a snapshot was installed.
  Reason? reason;
  SnapshotForm? form;
  Packing? encoding;

  /// That came over the network.
  int bytes = 0;
  int resumes = 0;

  /// That each stage took.
  final Map<LaunchStage, double> seconds = {};

  /// The version of the SDK's core extension; null for a database that was kept.
  String? core;
}

/// Where the snapshot comes from, and what the app wants of it.
final class SnapshotSource {
  /// Where `seedbed serve` answers: `https://seedbed.example.com/database`.
  final String url;

  /// The store whose snapshot is wanted.
  final String storeId;

  /// The user's token, which must allow the store. Asked for before each question, and not at all when the database is kept.
  final Future<String> Function() getToken;
  final SnapshotForm form;
  final WhenUnavailable whenUnavailable;

  /// The PowerSync service that the app connects to. A snapshot of another one is refused.
  final String? endpoint;

  /// Who uses the database. One of another account is refused.
  final String? account;

  /// The generation that the app needs.
  final String? generation;

  /// Since the snapshot was verified.
  final Duration? maxAge;

  /// Subscribes to streams beyond the default ones, before a launch in the form stream.
  final Future<void> Function(PowerSyncDatabase db)? subscribe;

  /// Makes the app's raw tables before a compact file is finished, in a transaction. A function at the top level or a static one: it
  /// runs in another isolate.
  final void Function(Database db)? prepare;

  /// Without a byte, after which a request is given up.
  final Duration silenceLimit;

  /// To wait for a store that is being seeded, or a busy server.
  final Duration waitLimit;

  /// For all of it, if there is to be such a limit.
  final Duration? timeLimit;

  /// Says how many bytes are free for a file; `dart:io` does not. Without it nothing is asked before.
  final Future<int?> Function(String path)? freeDisk;

  /// Whether to send an anonymous report of a first launch.
  final bool report;
  final void Function(LaunchProgress progress)? onProgress;

  /// Called once, when the database is open or the launch has failed.
  final void Function(LaunchOutcome outcome)? onOutcome;

  const SnapshotSource({
    required this.url,
    required this.storeId,
    required this.getToken,
    this.form = SnapshotForm.file,
    this.whenUnavailable = WhenUnavailable.sync,
    this.endpoint,
    this.account,
    this.generation,
    this.maxAge,
    this.subscribe,
    this.prepare,
    this.silenceLimit = const Duration(seconds: 30),
    this.waitLimit = const Duration(seconds: 120),
    this.timeLimit,
    this.freeDisk,
    this.report = false,
    this.onProgress,
    this.onOutcome,
  });
}

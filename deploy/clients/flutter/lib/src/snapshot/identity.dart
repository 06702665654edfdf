import '../database/finishes.dart';
import '../database/record.dart';
import '../reason.dart';
import '../source.dart';
import 'rendition.dart';

/// Refuses what is not for this app, before anything is downloaded. Rule 5 of CONTRACT.md.
void requireIdentity(Map<String, dynamic> body, Rendition rendition, SnapshotSource source, String core) {
  final store = body.text('storeId');
  if (store != null && store != source.storeId) throw const SeedbedException(Reason.wrongStore, 'the snapshot is of another store');
  final its = serviceOf(body.text('serviceEndpoint'));
  final own = serviceOf(source.endpoint);
  if (its != null && own != null && its != own) {
    throw SeedbedException(Reason.wrongService, 'the snapshot is of $its, and the app connects to $own');
  }
  final generation = body.text('generation');
  if (source.generation != null && generation != null && generation != source.generation) {
    throw SeedbedException(Reason.wrongGeneration, 'the snapshot is of generation $generation, not ${source.generation}');
  }
  _requireFresh(body, source.maxAge);
  final itsCore = body.text('coreVersion');
  if (itsCore != null && isNewer(itsCore, core)) {
    throw SeedbedException(Reason.newerCore, 'the snapshot is of core $itsCore, and the SDK has $core');
  }
  if (rendition.form == SnapshotForm.compact && !FinishVersion.all.containsKey(rendition.finish)) {
    throw SeedbedException(
        Reason.unknownFinish, 'the snapshot needs version ${rendition.finish} of finishing, and this package has $newestFinish');
  }
}

void _requireFresh(Map<String, dynamic> body, Duration? maxAge) {
  final since = DateTime.tryParse(body.text('verifiedAt') ?? body.text('createdAt') ?? '');
  if (since == null) return;
  final age = DateTime.now().difference(since).inMilliseconds / 1000;
  for (final limit in [maxAge?.inSeconds, body.number('maxAge')]) {
    if (limit != null && age > limit) {
      throw SeedbedException(Reason.tooOld, 'the snapshot was verified ${age.round()} s ago, and may be $limit s old');
    }
  }
}

/// Whether a version `1.2.3` is newer than another.
bool isNewer(String version, String than) {
  List<int> numbers(String text) => [for (final it in text.split(RegExp('[^0-9]+')).take(3)) int.tryParse(it) ?? 0];
  final (one, another) = (numbers(version), numbers(than));
  for (var at = 0; at < one.length && at < another.length; at++) {
    if (one[at] != another[at]) return one[at] > another[at];
  }
  return false;
}

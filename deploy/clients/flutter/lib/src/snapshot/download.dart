import 'dart:io';

import '../cancellation.dart';
import '../platform/exchange.dart';
import '../platform/paths.dart';
import '../reason.dart';

/// Brings all bytes of a rendition into the part, over as many requests as it takes. Rule 6 of CONTRACT.md.
final class Download {
  final String part;
  final int bytes;
  final Duration silenceLimit;
  final Cancellation cancel;

  /// A new URL of the same rendition; throws if there is another one now.
  final Future<Uri> Function() renew;

  /// The bytes have this strong ETag.
  final void Function(String etag) onEtag;

  /// How many are there now.
  final void Function(int bytes) onBytes;
  Uri databaseUrl;
  String? etag;

  /// That came over the network.
  int received = 0;
  int resumes = 0;

  Download({
    required this.part,
    required this.bytes,
    required this.databaseUrl,
    required this.etag,
    required this.silenceLimit,
    required this.cancel,
    required this.renew,
    required this.onEtag,
    required this.onBytes,
  });

  /// Requests in a row that bring nothing new.
  static const _fruitless = 4;

  /// The first pause after such a request is this part of the silence limit.
  static const _pauses = 30;

  /// URLs in a row that are refused.
  static const _refused = 3;

  /// The statuses that say that a URL has expired.
  static const _refusals = {401, 403, 404, 410};
  static final _contentRange = RegExp(r'^bytes (\d+)-\d*/(\d+|\*)');

  /// Throws `stalled`, `cut`, `expired`, `serverError`, `corrupt`, `diskFull`.
  Future<void> run() async {
    var size = sizeOf(part) ?? 0;
    // The most there ever was: a server without ranges starts anew each time, and that is no progress.
    var most = size;
    var fruitless = 0;
    var refused = 0;
    var first = size == 0;
    while (size < bytes) {
      await cancel.check();
      if (!first) resumes++;
      first = false;
      final (:expired, :error) = await _request(size);
      size = sizeOf(part) ?? 0;
      if (size > most) {
        most = size;
        fruitless = 0;
        refused = 0;
      } else if (expired) {
        if (++refused == _refused) throw const SeedbedException(Reason.expired, 'the URL of the snapshot is refused again and again');
        databaseUrl = await renew();
      } else {
        if (++fruitless == _fruitless) {
          throw error ?? SeedbedException(Reason.cut, 'the snapshot ended after $size of $bytes bytes');
        }
        await cancel.pause(error?.retryAfter ?? silenceLimit ~/ _pauses * (1 << (fruitless - 1)));
      }
    }
  }

  /// Whether the URL is refused, and why the request ended early.
  Future<({bool expired, SeedbedException? error})> _request(int size) async {
    Exchange? exchange;
    try {
      exchange = await Exchange.send(databaseUrl, _headers(size), silenceLimit, cancel);
      if (_refusals.contains(exchange.status)) return (expired: true, error: null);
      final offset = _offsetOf(exchange, size);
      final its = exchange.header(HttpHeaders.etagHeader);
      if (its != null && its.startsWith('"') && its != etag) {
        // Written before the bytes, so that it is there when they are.
        onEtag(its);
        etag = its;
      }
      await _store(exchange, offset);
      return (expired: false, error: null);
    } catch (error) {
      await cancel.check();
      final known = SeedbedException.of(error, Reason.cut, 'the download broke off');
      // Nothing that comes next would be right.
      if (known.reason == Reason.corrupt || known.reason == Reason.diskFull) throw known;
      return (expired: false, error: known);
    } finally {
      exchange?.end();
    }
  }

  /// The URL is its own authorization: a token in addition to the signature makes S3 refuse it.
  Map<String, String> _headers(int size) {
    final etag = this.etag;
    return {
      if (size > 0) HttpHeaders.rangeHeader: 'bytes=$size-',
      if (size > 0 && etag != null) HttpHeaders.ifRangeHeader: etag,
    };
  }

  /// Where the bytes of the answer begin.
  int _offsetOf(Exchange exchange, int size) {
    if (exchange.status == 200) return 0;
    final range = _contentRange.firstMatch(exchange.header(HttpHeaders.contentRangeHeader) ?? '');
    if (exchange.status == 206 && range?[1] == '$size' && (range?[2] == '*' || range?[2] == '$bytes')) return size;
    // Another object than the one that was promised, shorter or longer.
    final another = exchange.status == 206 || exchange.status == 416;
    throw SeedbedException(
      another ? Reason.corrupt : Reason.serverError,
      'the snapshot cannot be downloaded: ${exchange.status}',
      retryAfter: exchange.retryAfter,
    );
  }

  Future<void> _store(Exchange exchange, int offset) async {
    var there = offset;
    final file = File(part).openSync(mode: FileMode.append);
    try {
      file.truncateSync(offset);
      file.setPositionSync(offset);
      while (true) {
        final piece = await exchange.next();
        if (piece == null) return;
        there += piece.length;
        if (there > bytes) throw SeedbedException(Reason.corrupt, 'the snapshot has more than its $bytes bytes');
        received += piece.length;
        file.writeFromSync(piece);
        onBytes(there);
      }
    } finally {
      file.closeSync();
    }
  }
}

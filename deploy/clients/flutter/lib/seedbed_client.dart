/// Opens a PowerSync database that starts from a Seedbed snapshot instead of an initial sync: on every platform but the web.
library;

export 'seeded_connector.dart';
export 'src/cancellation.dart' show Cancellation;
export 'src/open.dart' show openSeeded;
export 'src/reason.dart' show Reason, SeedbedException;
export 'src/source.dart';

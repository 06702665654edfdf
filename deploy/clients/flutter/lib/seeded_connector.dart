/// The stream form alone: also for the web.
library;

export 'src/stream/seeded_connector.dart' show SeededConnector, StreamSource, seededConnector;

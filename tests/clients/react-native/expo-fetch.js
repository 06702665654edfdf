/**
 * `expo/fetch`, with streams. As on Android, where OkHttp unpacks nothing if a request says by itself what it accepts; where a
 * platform unpacks all the same, packages ask for the plain file (`transcoded` in faults.test.js).
 */
export { fetchStored as fetch } from '../../../deploy/clients/node/request.js';

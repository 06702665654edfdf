/**
 * @param {Download} download
 * @returns {Promise<Received>}
 * @throws {SeedbedError} `stalled`, `cut`, `expired`, `server_error`, `corrupt`, `disk_full`, `cancelled`.
 */
export function downloadAll(download: Download): Promise<Received>;
/**
 * What has become of a request.
 */
export type End = {
    /**
     * That it has brought.
     */
    bytes: number;
    etag?: string | undefined;
    /**
     * The URL is refused: it has expired.
     */
    refused?: boolean | undefined;
    /**
     * Why it ended early. One that does not pass ends the download.
     */
    error?: SeedbedError | undefined;
};
export type Download = {
    platform: import("../platform.js").Platform;
    part: string;
    rendition: import("./ask.js").Rendition;
    databaseUrl: string;
    /**
     * What `fetch` unpacks: nothing can be asked for but the whole.
     */
    packed?: import("../platform.js").Encoding | undefined;
    /**
     * The bytes, from the first on, if they come with the answer.
     */
    content?: Body | undefined;
    /**
     * Of an earlier request for the same bytes.
     */
    etag: string | undefined;
    /**
     * Milliseconds.
     */
    silenceLimit: number;
    signal: AbortSignal;
    /**
     * A new URL of the same rendition; throws if there is another one now.
     */
    renew: () => Promise<import("./ask.js").Snapshot>;
    /**
     * The same bytes without an encoding, if they can be had.
     */
    plain: () => Promise<import("./ask.js").Snapshot | undefined>;
    /**
     * The bytes have this strong ETag.
     */
    onEtag: (etag: string) => Promise<void>;
    /**
     * How many are there now.
     */
    onBytes: (bytes: number) => void;
};
export type Received = {
    /**
     * That came over the network.
     */
    bytes: number;
    resumes: number;
};
import { SeedbedError } from '../reasons.js';
import { Body } from './body.js';

export class Sha256 {
    state: Uint32Array<ArrayBuffer>;
    words: Uint32Array<ArrayBuffer>;
    rest: Uint8Array<ArrayBuffer>;
    restSize: number;
    size: number;
    /** @param {Uint8Array} bytes */
    update(bytes: Uint8Array): void;
    /** @returns {string} Hexadecimal. Nothing can be added afterwards. */
    hex(): string;
    /**
     * @param {Uint8Array} bytes
     * @param {number} at
     */
    block(bytes: Uint8Array, at: number): void;
}

/**
 * SDKs keep their credentials until the server refuses them, so one that cannot reach Seedbed's stream would try it for ever.
 * This has it ask again.
 */
/**
 * What is needed of the SDK's database object; without `connect` it is not watched.
 *
 * @typedef {object} Connecting
 * @property {(listener: { statusChanged: (status: any) => void }) => () => void} [registerListener]
 * @property {(connector: any, options?: any) => Promise<void>} [connect]
 * @property {any} [connectionOptions] What the app has connected with.
 */
/** One connection to Seedbed, and the SDK's further tries of it. */
export class Watch {
    /**
     * @param {Connecting} database
     * @param {{ tries: number, silenceLimit: number, connecting?: boolean }} limits `connecting`: whether the SDK is; it is when it
     *   asks for credentials.
     * @param {() => void} giveUp
     */
    constructor(database: Connecting, { tries, silenceLimit, connecting }: {
        tries: number;
        silenceLimit: number;
        connecting?: boolean;
    }, giveUp: () => void);
    tries: number;
    left: number;
    silenceLimit: number;
    giveUp: () => void;
    /** Whether the SDK was connecting when it was last heard of. */
    connecting: boolean;
    /** Operations that have arrived, at the most: a connection that brings none is a fruitless one. */
    most: number;
    /** Whether all have, and are being applied: that says nothing for as long as it takes. */
    whole: boolean;
    dispose: (() => void) | undefined;
    /** @param {any} status */
    heard({ connecting, downloadProgress: progress }: any): void;
    wait(): void;
    timer: number | undefined;
    fail(): void;
    end(): void;
}
/**
 * What is needed of the SDK's database object; without `connect` it is not watched.
 */
export type Connecting = {
    registerListener?: ((listener: {
        statusChanged: (status: any) => void;
    }) => () => void) | undefined;
    connect?: ((connector: any, options?: any) => Promise<void>) | undefined;
    /**
     * What the app has connected with.
     */
    connectionOptions?: any;
};

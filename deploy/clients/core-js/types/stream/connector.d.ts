/**
 * Returns the app's connector with other credentials: Seedbed's while the database has never synced and has no local write, and
 * PowerSync's in every other case. The SDK has to connect by HTTP: `connectionMethod: 'http'`.
 *
 * @template {Connector} C
 * @param {C} connector
 * @param {StreamSource} source
 * @returns {C}
 */
export function seededConnector<C extends Connector>(connector: C, source: StreamSource): C;
/**
 * What `fetchCredentials` of an SDK returns.
 */
export type Credentials = {
    endpoint: string;
    token: string;
};
/**
 * What is needed of the app's connector.
 */
export type Connector = {
    fetchCredentials: () => Promise<Credentials | null>;
};
export type StreamSource = {
    /**
     * The SDK's, which is connected with the connector.
     */
    database: import("./device.js").Reader & import("./watch.js").Connecting;
    /**
     * Where `seedbed serve` answers: `https://seedbed.example.com/database`, as for the other forms, or without
     * `/database`.
     */
    url: string;
    storeId: string;
    /**
     * The user's token for Seedbed. The one for PowerSync by default.
     */
    getToken?: (() => Promise<string>) | undefined;
    /**
     * Connections to Seedbed that bring nothing, before PowerSync's turn. 3 by default.
     */
    tries?: number | undefined;
    /**
     * Milliseconds in which Seedbed's stream brings nothing, after which it is PowerSync's turn. 30
     * seconds by default.
     */
    silenceLimit?: number | undefined;
    /**
     * Milliseconds for the question. 5 seconds by default.
     */
    startLimit?: number | undefined;
    /**
     * Called whenever the SDK asks.
     */
    onChoice?: ((choice: Choice) => void) | undefined;
    fetch?: typeof fetch | undefined;
};
export type Choice = {
    endpoint: "seedbed" | "powersync";
    /**
     * For logs.
     */
    reason: string;
};

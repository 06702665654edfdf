export type Sink = {
    handle: any;
    at: number;
    unflushed: number;
};

/** `XMLHttpRequest` as React Native has it: answers come as a whole. */

import { fetchStored } from '../../../deploy/clients/node/request.js';

export class XMLHttpRequest {
  open(method, url) {
    Object.assign(this, { method, url, headers: {}, controller: new AbortController() });
  }

  setRequestHeader(name, value) {
    this.headers[name] = value;
  }

  abort() {
    this.controller.abort();
  }

  async send(body) {
    const { method, headers, controller } = this;
    try {
      const answer = await fetchStored(this.url, { method, headers, body: body ?? undefined, signal: controller.signal });
      this.response = await answer.arrayBuffer();
      this.status = answer.status;
      this.getResponseHeader = (name) => answer.headers.get(name);
      this.onload();
    } catch {
      if (controller.signal.aborted) this.onabort();
      else this.onerror();
    } finally {
      this.onloadend();
    }
  }
}

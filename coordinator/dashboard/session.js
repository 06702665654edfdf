/**
 * Who is signed in: by a token, which lives as long as the browser's tab, or by a login, whose cookie no page can read. What somebody
 * may do decides the server; here it is only a matter of not offering what would be refused.
 */

const TOKEN = "seedbed.adminToken";
const ROLES = ["viewer", "operator", "admin"];
const NOBODY = { actor: null, role: null, csrf: null, login: false };

class Session {
  /** What the server says of who this is. */
  who = NOBODY;

  get token() {
    return sessionStorage.getItem(TOKEN);
  }

  /** Whether there is something to sign out of. */
  get canEnd() {
    return Boolean(this.token || this.who.csrf);
  }

  /** Shows this token from now on. */
  signIn(token) {
    sessionStorage.setItem(TOKEN, token);
  }

  /** @param {{ actor: string | null, role: string | null, csrf: string | null, login: boolean }} who */
  take(who) {
    this.who = who;
  }

  /** Forgets who this was, but not whether people sign in by a provider. */
  forget() {
    sessionStorage.removeItem(TOKEN);
    this.who = { ...NOBODY, login: this.who.login };
  }

  /** Whether this is somebody with at least this role. */
  may(role) {
    return ROLES.indexOf(this.who.role) >= ROLES.indexOf(role);
  }

  /** The roles that this one can give to a token. */
  get roles() {
    return ROLES.filter((role) => this.may(role));
  }

  /** Headers that show who asks; a change within a login also shows that a page of this server asks. */
  headers(method) {
    if (this.token) {
      return { Authorization: `Bearer ${this.token}` };
    }
    return this.who.csrf && method !== "GET" ? { "X-Seedbed-Csrf": this.who.csrf } : {};
  }
}

export const session = new Session();

/** Somebody's name without what the audit log needs beside it: `user ada@example.com (1234)` is ada@example.com. */
export function shortName(actor) {
  return (actor ?? "").replace(/^user (.*) \(.*\)$/s, "$1").replace(/^(user|token) /, "");
}
